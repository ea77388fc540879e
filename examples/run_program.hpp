#pragma once
#include <exception>
#include <iostream>
#include <new>
#include <stdexcept>

#include "susc/core/error.hpp"

/// Exit status of a program that does `work`, whose errors go to standard error under its name: 0; 2 after an error; 75
/// ("try again": EX_TEMPFAIL of sysexits.h) where it was interrupted.
template <class Work>
int run_program(char const* name, Work const& work) {
  try {
    work();
    return 0;
  } catch (susc::interrupted const& e) {
    std::cerr << '\n' << name << ": " << e.what() << '\n';
    return 75;
  } catch (std::bad_alloc const&) {
    std::cerr << name << ": not enough memory for these settings\n";
  } catch (std::length_error const&) {
    std::cerr << name << ": not enough memory for these settings\n";
  } catch (std::exception const& e) {
    std::cerr << name << ": " << e.what() << '\n';
  }
  return 2;
}
