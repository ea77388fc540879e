#pragma once
// What the netCDF files of the programs say about themselves.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "susc/io/netcdf.hpp"

namespace structural_inference {

/// As UTF-8 without zero bytes, which netCDF's text is: what is not is replaced.
inline std::string valid_text(std::string const& text) {
  using nlohmann::json;
  auto valid = json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
  std::replace(valid.begin(), valid.end(), '\0', ' ');
  return valid;
}

/// Adds versions, settings, those of the model as model_NAME, and warnings, a line each. Other settings of several
/// numbers are variables.
inline void add_attributes(std::vector<susc::netcdf_attribute>& to, nlohmann::json const& versions,
                           nlohmann::json const& settings, std::vector<std::string> const& warnings) {
  auto const add = [&](std::string const& name, nlohmann::json const& value) {
    if (value.is_string())
      to.push_back({name, valid_text(value.get<std::string>())});
    else if (value.is_boolean())
      to.push_back({name, std::int64_t{value.get<bool>()}});
    else if (value.is_number_unsigned() && !std::in_range<std::int64_t>(value.get<std::uint64_t>()))
      to.push_back({name, value.get<std::uint64_t>()});
    else if (value.is_number_integer())
      to.push_back({name, value.get<std::int64_t>()});
    else if (value.is_number())
      to.push_back({name, value.get<double>()});
  };
  for (auto const& [name, version] : versions.items())
    add(name == "compiler" || name == "instruction_set" ? name : name + "_version", version);
  for (auto const& [name, value] : settings.items()) {
    add(name, value);
    if (name == "model")
      for (auto const& [inner, of] : value.items()) add(name + "_" + inner, of);
  }
  std::string lines;
  for (std::string const& warning : warnings) lines += (lines.empty() ? "" : "\n") + warning;
  if (!lines.empty()) to.push_back({"warnings", valid_text(lines)});
}

}  // namespace structural_inference
