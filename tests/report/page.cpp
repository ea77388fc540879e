#include "susc/report/page.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

TEST_CASE("page: each mark stands once, in the order in which html_report fills them") {
  std::string_view const page = susc::detail::report_page;
  std::size_t last = 0;
  for (std::string_view const mark : {"@title@", "@data@", "@script@"}) {
    std::size_t const at = page.find(mark);
    REQUIRE(at != std::string_view::npos);
    CHECK(page.find(mark, at + 1) == std::string_view::npos);
    CHECK(at > last);
    last = at;
  }
}

TEST_CASE("page: every colour of the light theme has a dark one") {
  std::string const page(susc::detail::report_page);
  std::size_t const dark = page.find("prefers-color-scheme: dark"), end = page.find("box-sizing", dark);
  REQUIRE(end != std::string::npos);
  std::string const light_part = page.substr(0, dark), dark_part = page.substr(dark, end - dark);
  int colours = 0;
  for (std::size_t at = light_part.find("--"); at != std::string::npos; at = light_part.find("--", at + 2)) {
    std::string const name = light_part.substr(at, light_part.find(':', at) - at + 1);
    if (name == "--sans:" || name == "--mono:") continue;
    ++colours;
    CHECK_MESSAGE(dark_part.find(name) != std::string::npos, name);
  }
  CHECK(colours >= 20);
}
