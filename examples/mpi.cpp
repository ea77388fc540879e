// Chains on many processes, on one machine or several: mpirun -n 4 mpi. Prints the same for any number of them.
#include <mpi.h>

#include <cstdio>
#include <vector>

#include "susc/models/quadratic.hpp"
#include "susc/response/estimate.hpp"
#include "susc/sampling/mpi.hpp"

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);

  // The model of 01_quadratic, each weight a component. Every rank makes the same calls, with the same arguments.
  struct two_weights : susc::quadratic<> {
    using quadratic::quadratic;
    std::vector<susc::component> components() const { return {{"first", {{0, 1}}}, {"second", {{1, 2}}}}; }
  };
  two_weights const model({0, 0}, {{0, {0, 0}, {1, 0, 0, 2}},    // example 0: the data
                                   {0, {0, 0}, {3, 0, 0, 2}},    // example 1: steeper in the first weight
                                   {0, {0, 0}, {1, 0, 0, 1}}});  // example 2: flatter in the second
  using batch = two_weights::batch;
  susc::data_distribution const data{batch{0}, [](std::size_t, susc::random::key) { return batch{0}; }};
  susc::mpi const ranks;
  auto const result = susc::estimate_susceptibilities(
      model, std::vector{0., 0.}, data, {{"steeper", {1}}, {"flatter", {2}}},
      {.posterior = {.n_beta = 30, .localization = 10}, .sampler = {.step_size = .02}, .draws = 10'000}, ranks);

  // Every rank has the result; one prints it.
  if (ranks.rank() == 0) {
    auto const chi = result.response_matrix();
    for (std::size_t c = 0; c != result.components.size(); ++c)
      for (std::size_t p = 0; p != result.probes.size(); ++p)
        std::printf("%s weight, %s: chi = (%+.2f +- %.2f)e-4\n", result.components[c].name.c_str(),
                    result.probes[p].c_str(), 1e4 * chi.value(p, c), 1e4 * chi.error(p, c));
  }
  MPI_Finalize();
}
