#pragma once
// Whether a model of the zoo keeps every law of core/check_model.hpp.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "susc/core/check_model.hpp"

template <class M>
void check_lawful(M const& model, std::vector<typename M::scalar> const& w, typename M::batch const& batch,
                  susc::model_check const& how = {}) {
  std::string all;
  for (auto const& broken : susc::check_model(model, w, batch, how)) all += broken.law + ": " + broken.what + "\n";
  CHECK(all == "");
}
