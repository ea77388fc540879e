#pragma once
/// A folder of network weights as Hugging Face's tools save them: one safetensors file, or several with an index.
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "susc/core/error.hpp"
#include "susc/core/requirements.hpp"
#include "susc/io/file.hpp"
#include "susc/io/safetensors.hpp"

SUSC_REQUIRE_VERSION("nlohmann/json", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, 3, 11);

namespace susc {

/// Parses a JSON file whose outermost value is an object. Throws susc::error naming the file if it is not that.
inline nlohmann::json read_json_object(std::filesystem::path const& path) {
  std::string const text = read_file(path);
  nlohmann::json value;
  try {
    value = nlohmann::json::parse(text);
  } catch (nlohmann::json::exception const& reason) {
    fail("file '", path.string(), "': not valid JSON: ", reason.what());
  }
  require(value.is_object(), "file '", path.string(), "': holds ", value.type_name(), ", wanted an object");
  return value;
}

/// The tensors of `model.safetensors` in a folder, or, where there is none, those of the files that the folder's
/// `model.safetensors.index.json` names. Their data are read on demand.
class sharded_safetensors {
 public:
  /// Throws susc::error if the folder holds neither, a file breaks a rule of the format, or the index names a file
  /// outside of the folder or a tensor that its file does not hold.
  explicit sharded_safetensors(std::filesystem::path const& folder) : folder_(folder) {
    std::string const single = "model.safetensors", index = single + ".index.json";
    if (std::filesystem::exists(folder / single)) {
      safetensors_file const& file = open(single);
      for (std::string const& name : file.names()) place_.emplace(name, &file);
      return;
    }
    require(std::filesystem::exists(folder / index), "folder '", folder.string(), "': holds neither ", single, " nor ",
            index);
    std::string const where = "file '" + (folder / index).string() + "': ";
    nlohmann::json const content = read_json_object(folder / index);
    require(content.contains("weight_map") && content["weight_map"].is_object(), where,
            "no 'weight_map' from tensors' names to files");
    for (auto const& [name, value] : content["weight_map"].items()) {
      require(value.is_string(), where, "tensor '", name, "' lies in ", value.dump(), ", wanted a file's name");
      std::string const shard = value.get<std::string>();
      require(std::filesystem::path(shard).filename() == shard, where, "tensor '", name, "' lies in '", shard,
              "', wanted a file of the same folder");
      safetensors_file const& file = open(shard);
      require(file.contains(name), where, "tensor '", name, "' should lie in '", shard, "', which does not hold it");
      place_.emplace(name, &file);
    }
  }

  /// Names of the tensors, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (auto const& [name, file] : place_) names.push_back(name);
    return names;
  }
  /// Whether there is a tensor of this name.
  bool contains(std::string_view name) const { return place_.find(name) != place_.end(); }
  /// Extents of a tensor. Throws susc::error if there is none of this name.
  std::vector<std::size_t> const& shape(std::string_view name) const { return find(name).shape(name); }
  /// As safetensors_file::read.
  template <std::floating_point T>
  void read(std::string_view name, std::span<T> out, std::vector<std::size_t> const& expected) const {
    find(name).read(name, out, expected);
  }

 private:
  safetensors_file const& open(std::string const& name) {
    auto const found = files_.find(name);
    return found != files_.end() ? found->second : files_.try_emplace(name, folder_ / name).first->second;
  }
  safetensors_file const& find(std::string_view name) const {
    auto const found = place_.find(name);
    require(found != place_.end(), "folder '", folder_.string(), "': no tensor '", name, "' among its ", place_.size());
    return *found->second;
  }

  std::filesystem::path folder_;
  std::map<std::string, safetensors_file> files_;
  std::map<std::string, safetensors_file const*, std::less<>> place_;
};

}  // namespace susc
