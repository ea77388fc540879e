#!/bin/sh
# Nothing is installed: SUSC is the include folder of a checkout, EIGEN that of Eigen.
set -eu
${CXX:-g++} -std=c++20 ${CXXFLAGS:-} -I"$SUSC" -I"${EIGEN:-/usr/include/eigen3}" "$(dirname "$0")/../main.cpp" \
  -o consumer -pthread
