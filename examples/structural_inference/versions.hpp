#pragma once
// What a run was made with, for its results.
#include <Eigen/Core>
#include <nlohmann/json.hpp>
#include <string>
#include <xsimd/xsimd.hpp>

#include "susc/version.hpp"

namespace structural_inference {

inline std::string instruction_set() {
#if defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__)
  return "AVX2";
#elif defined(__SSE2__)
  return "SSE2";
#else
  return "portable";
#endif
}

inline nlohmann::json versions() {
  auto const dotted = [](int major, int minor, int patch) {
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  };
  return {{"susc", std::string(susc::version)},
          {"Eigen", dotted(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION)},
          {"xsimd", dotted(XSIMD_VERSION_MAJOR, XSIMD_VERSION_MINOR, XSIMD_VERSION_PATCH)},
          {"compiler", __VERSION__},
          {"instruction_set", instruction_set()}};
}

}  // namespace structural_inference
