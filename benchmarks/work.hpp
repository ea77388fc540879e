#pragma once
// The two sizes that are measured: the demo's model, and the paper's.
#include "susc/models/transformer_config.hpp"

namespace bench {

inline constexpr susc::transformer_config demo{
    .vocabulary = 1024, .context = 64, .width = 128, .layers = 2, .heads = 8};
inline constexpr susc::transformer_config paper{
    .vocabulary = 5000, .context = 1024, .width = 256, .layers = 2, .heads = 8};
inline constexpr std::size_t demo_tokens = 512, paper_tokens = 2048;

}  // namespace bench
