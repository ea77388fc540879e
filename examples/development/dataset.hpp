#pragma once
// development.nc: what a development found in one netCDF-4 file, with names for its dimensions.
#include <filesystem>

#include "page.hpp"

namespace development {

/// The numbers of the .npy files; `data` has the texts of the tokens.
void write_dataset(std::filesystem::path const& path, results const& r, prepared_data const& data);

}  // namespace development
