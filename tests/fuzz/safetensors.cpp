// Fuzz target: any bytes are a safetensors file whose floats are read whole and, written again, read the same, or a
// susc::error.
#include "susc/io/safetensors.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "fuzzing.hpp"

namespace {
bool is_float(std::string const& dtype) {
  return dtype == "F64" || dtype == "F32" || dtype == "F16" || dtype == "BF16";
}
template <class T>
std::vector<T> values(susc::safetensors_file const& file, std::string const& name) {
  std::vector<T> all(susc::element_count(file.shape(name)).value());
  file.read<T>(name, all, file.shape(name));
  return all;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const path = fuzzing::file("in.safetensors", fuzzing::text(data, size));
  std::optional<susc::safetensors_file> file;
  if (!fuzzing::reads(size, [&] { file.emplace(path); })) return 0;

  // Other types are refused, each tensor by itself.
  std::list<std::vector<float>> narrow;
  std::list<std::vector<double>> wide;
  std::vector<susc::named_tensor> tensors;
  std::size_t bytes = 0;
  for (std::string const& name : file->names()) {
    std::string const& dtype = file->dtype(name);
    std::size_t const count = susc::element_count(file->shape(name)).value();
    bytes += count;
    fuzzing::hold(bytes <= size, "no more numbers than bytes");
    std::vector<double> doubles;
    bool const read = fuzzing::reads(size, [&] { doubles = values<double>(*file, name); });
    fuzzing::hold(read == is_float(dtype), "floats and nothing else are read as double");
    if (!read || name.empty()) continue;  // what has no name cannot be written
    if (dtype == "F64")
      tensors.push_back({name, file->shape(name), wide.emplace_back(std::move(doubles))});
    else
      tensors.push_back({name, file->shape(name), narrow.emplace_back(values<float>(*file, name))});
  }
  fuzzing::hold(!fuzzing::reads(2 * size, [&] { file->shape(std::string(size, 'x')); }), "no tensor of that name");

  auto const copy = fuzzing::folder() / "copy.safetensors";
  susc::write_safetensors(copy, tensors, file->metadata());
  susc::safetensors_file const again(copy);
  fuzzing::hold(again.metadata() == file->metadata(), "the same metadata");
  fuzzing::hold(again.names().size() == tensors.size(), "as many tensors");
  for (susc::named_tensor const& t : tensors) {
    fuzzing::hold(again.shape(t.name) == t.shape, "the same shape");
    bool const same = t.values.index() == 1
                          ? fuzzing::same_bits(values<double>(again, t.name), values<double>(*file, t.name))
                          : fuzzing::same_bits(values<float>(again, t.name), values<float>(*file, t.name));
    fuzzing::hold(same, "the same values");
  }
  return 0;
}
