"""A project takes the library by Meson, CMake, pkg-config or a plain include path, outside of the source tree.

Usage: check.py SOURCE_ROOT COMPILER VERSION DEPENDENCY=OLDEST_VERSION...
Installs into a temporary folder, looks at what is there, builds and runs each consumer, and has too old and too new
versions refused. Exits with 77, skipped, where CMake is missing and all the rest is well.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE, COMPILER, VERSION = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
OLDEST = dict(argument.split("=") for argument in sys.argv[4:])
CMAKE_NAMES = {"eigen3": "Eigen3"}  # where it is not that of pkg-config
TOO_NEW = "99"
wrong = []


def run(*command, cwd=None, **environment):
    return subprocess.run([str(word) for word in command], cwd=cwd, env=os.environ | ENVIRONMENT | environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def must(what, *command, **options):
    """Its output; a failure is noted, with all that was printed."""
    done = run(*command, **options)
    if done.returncode != 0:
        wrong.append(f"{what}: `{' '.join(map(str, command))}` failed:\n{done.stdout}")
    return done.stdout


def expect(holds, message):
    if not holds:
        wrong.append(message)


def older(version):
    """The last one before: 8.1 gives 8.0.99."""
    major, minor = map(int, version.split("."))
    return f"{major}.{minor - 1}.99" if minor else f"{major - 1}.99.99"


def prints_exact(name, program):
    if program.exists():  # else its build has failed, which is noted
        print(f"{name}: {must(name, program).strip()}", flush=True)


def listed(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def check_installed_files(prefix, build):
    documents = prefix / "share/doc/susc"
    headers = {h.relative_to(SOURCE / "include").as_posix() for h in (SOURCE / "include").rglob("*.hpp")}
    expect(headers | {"susc/version.hpp"} == listed(prefix / "include"), "headers: installed are not those of include/: "
           f"{sorted((headers | {'susc/version.hpp'}) ^ listed(prefix / 'include'))}")
    pages = {f.relative_to(SOURCE).as_posix() for f in [*SOURCE.glob("docs/*.md"), *SOURCE.glob("docs/*.png"),
                                                      *SOURCE.glob("examples/**/*.?pp"), SOURCE / "README.md",
                                                      SOURCE / "CHANGELOG.md", SOURCE / "LICENSE"]}
    expect(pages <= listed(documents), f"documentation: missing {sorted(pages - listed(documents))}")
    for page in sorted(p for p in listed(documents) if p.endswith(".md")):
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"```.*?```", "", (documents / page).read_text(), flags=re.DOTALL)):
            if "/" in link or "." in link:  # and not C++, as in [](int)
                expect(":" in link or ((documents / page).parent / link).exists(), f"{page} links to {link}, not installed")
    others = {f for f in listed(prefix) if not f.startswith(("include/susc/", "share/doc/susc/"))}
    expect(others == {"share/pkgconfig/susc.pc", "share/cmake/susc/suscConfig.cmake",
                      "share/cmake/susc/suscConfigVersion.cmake"}, f"installed besides headers and documents: {others}")
    for file in sorted(listed(prefix)):
        expect(not file.endswith(("meson.build", ".in", ".py", ".pyc")), f"{file} is installed: it belongs to the build")
        content = (prefix / file).read_bytes()
        for folder in (SOURCE, build, prefix):
            expect(os.fsencode(folder) not in content, f"{file} holds the path {folder}")

    text = (prefix / "include/susc/version.hpp").read_text()
    parts = [re.search(rf"#define SUSC_VERSION_{part} (\d+)$", text, re.MULTILINE)[1] for part in ("MAJOR", "MINOR", "PATCH")]
    expect(".".join(parts) == VERSION and f'version = "{VERSION}"' in text, f"version.hpp is not of {VERSION}:\n{text}")


def check_pkg_config(consumers, prefix, folder):
    path = str(prefix / "share/pkgconfig")
    version = must("pkg-config", "pkg-config", "--modversion", "susc", PKG_CONFIG_PATH=path).strip()
    expect(version == VERSION, f"pkg-config: susc.pc is of version {version}, the project of {VERSION}")
    must("pkg-config", consumers / "pkg_config/build.sh", cwd=folder, PKG_CONFIG_PATH=path)
    prints_exact("pkg-config", folder / "consumer")
    refused = run("pkg-config", "--print-errors", "--exists", f"susc >= {TOO_NEW}", PKG_CONFIG_PATH=path)
    expect(refused.returncode != 0, f"pkg-config: version {TOO_NEW} is not refused")
    for name, oldest in OLDEST.items():
        for version in (oldest, older(oldest)):
            other = folder / name / version
            other.mkdir(parents=True)
            (other / f"{name}.pc").write_text(f"Name: {name}\nDescription: another version\nVersion: {version}\n")
            found = run("pkg-config", "--print-errors", "--exists", "susc", PKG_CONFIG_PATH=f"{other}:{path}")
            expect(found.returncode == 0 if version == oldest else found.returncode != 0 and name in found.stdout,
                   f"pkg-config: {name} {version}, at least {oldest} being needed: {found.stdout or 'accepted'}")


def check_cmake(consumers, prefix, folder):
    def configure(source, build, *options):
        return run("cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", *options)

    done = configure(consumers / "cmake", folder / "build")
    expect(done.returncode == 0 and f"-- susc {VERSION}\n" in done.stdout, f"CMake: not version {VERSION}:\n{done.stdout}")
    must("CMake", "cmake", "--build", folder / "build")
    prints_exact("CMake", folder / "build/consumer")

    # Which requests are served.
    asking, build = folder / "asking", folder / "asking/build"
    asking.mkdir()
    (asking / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.19)\nproject(asking CXX)\n"
                                           "find_package(susc ${WANTED} CONFIG REQUIRED)\n")
    major, minor, patch = map(int, VERSION.split("."))
    requests = {"": True, VERSION: True, f"{major}.{minor}": True, TOO_NEW: False, f"{major}.{minor + 1}": False,
                f"{major}.{minor}.{patch + 1}": False, f"{major}.0...{TOO_NEW}": True, f"{major}.0...{VERSION}": True,
                f"{major}.0...<{VERSION}": False, f"{TOO_NEW}...{TOO_NEW}.1": False}
    if minor > 0:
        requests[f"{major}.{minor - 1}"] = major > 0  # before 1.0 a minor version may break what was
    for wanted, served in requests.items():
        done = configure(asking, build, f"-DWANTED={wanted}", "-Ususc_DIR")
        expect((done.returncode == 0) == served and (served or f"version: {VERSION}" in done.stdout),
               f"CMake: a request for `{wanted}` is answered:\n{done.stdout}")

    # Which dependencies are accepted: the oldest that will do, and none older.
    others = folder / "others"
    accepted = {CMAKE_NAMES.get(name, name): oldest for name, oldest in OLDEST.items()}
    for lowered in (None, *accepted):
        for name, oldest in accepted.items():
            package = others / "share/cmake" / name
            package.mkdir(parents=True, exist_ok=True)
            (package / f"{name}Config.cmake").write_text("")
            (package / f"{name}ConfigVersion.cmake").write_text(
                f"set(PACKAGE_VERSION {older(oldest) if name == lowered else oldest})\n"
                "if(NOT PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)\n"
                "  set(PACKAGE_VERSION_COMPATIBLE TRUE)\nendif()\n")
        done = configure(asking, build, "-DWANTED=", "-U*_DIR", f"-DCMAKE_PREFIX_PATH={prefix};{others}",
                         "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF", "-DCMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH=OFF")
        if lowered is None:
            expect(done.returncode == 0, f"CMake: {accepted} are not accepted:\n{done.stdout}")
        else:
            expect(done.returncode != 0 and f"{lowered}Config.cmake, version: {older(accepted[lowered])}" in done.stdout,
                   f"CMake: {lowered} {older(accepted[lowered])} is not refused:\n{done.stdout}")


def check_meson(consumers, folder):
    parent = folder / "parent"
    shutil.copytree(consumers / "meson", parent)
    shutil.copy(consumers / "main.cpp", folder)
    (parent / "subprojects").mkdir()
    (parent / "subprojects/susc").symlink_to(SOURCE, target_is_directory=True)
    build = folder / "build"
    must("Meson", "meson", "setup", "--force-fallback-for=susc", "-Doptimization=0", build, parent)
    targets = {target["name"] for target in json.loads(must("Meson", "meson", "introspect", "--targets", build) or "[]")}
    expect(targets == {"consumer"}, f"Meson: the targets are {sorted(targets)}, wanted is the consumer alone")
    if not targets:
        return
    commands = (build / "compile_commands.json").read_text()
    imposed = re.findall(r"-Werror|-march=\S+|-ffp-contract=\S+|-Wpedantic", commands)
    expect(not imposed, f"Meson: the subproject imposes flags on its parent: {imposed}")
    must("Meson", "meson", "compile", "-C", build)
    prints_exact("Meson", build / "consumer")


def check_include(consumers, folder):
    eigen = must("include", "pkg-config", "--variable=prefix", "eigen3").strip() + "/include/eigen3"
    must("include", consumers / "include/build.sh", cwd=folder, SUSC=str(SOURCE / "include"), EIGEN=eigen)
    prints_exact("include", folder / "consumer")


ENVIRONMENT = {"CXX": COMPILER, "CXXFLAGS": "-O0", "LC_ALL": "C"}
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name).resolve()
    consumers = folder / "consumers"
    shutil.copytree(SOURCE / "tests/consumers", consumers)
    for way in ("pkg_config", "cmake", "meson", "include"):
        (folder / "with" / way).mkdir(parents=True)

    # As a packager stages it: what is found at its place has never been at its prefix.
    build, prefix = folder / "build", folder / "staged/usr"
    must("installation", "meson", "setup", "--prefix=/usr", "-Dtests=false", "-Dexamples=false", "-Dsentencepiece=disabled",
         build, SOURCE)
    must("installation", "meson", "install", "-C", build, "--destdir", folder / "staged")
    if wrong:
        sys.exit("\n".join(wrong))
    check_installed_files(prefix, build)
    check_pkg_config(consumers, prefix, folder / "with/pkg_config")
    check_include(consumers, folder / "with/include")
    check_meson(consumers, folder / "with/meson")
    cmake = shutil.which("cmake")
    if cmake:
        check_cmake(consumers, prefix, folder / "with/cmake")
if wrong:
    sys.exit("\n".join(wrong))
if not cmake:
    print("skipped: the consumer by CMake, because there is no cmake (install_dependencies.sh ci installs it)")
    sys.exit(77)
