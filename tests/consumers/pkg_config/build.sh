#!/bin/sh
# The flags come from pkg-config, here as they would in a Makefile.
set -eu
flags=$(pkg-config --cflags --libs "susc >= 0.1")
# No quotes: one word a flag.
${CXX:-g++} -std=c++20 ${CXXFLAGS:-} "$(dirname "$0")/../main.cpp" $flags -o consumer
