#include "susc/report/progress.hpp"

#include <doctest/doctest.h>

#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

double now = 0;  // a clock that only the tests move
double test_clock() {
  return now;
}

std::size_t count(std::string const& text, std::string const& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("progress: a log file gets one plain line a tenth of the work") {
  now = 100;
  std::ostringstream out;
  susc::progress shown(out, "sampling", 1000, false, "tokens", test_clock);
  for (int i = 0; i != 1000; ++i) {
    now += 0.01;
    shown.advance();
  }
  shown.finish();
  std::string const text = out.str();
  CHECK(count(text, "\n") == 10);  // nine tenths and the end
  CHECK(text.find('\r') == std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.starts_with("sampling:  10 %  100 tokens/s  0:09 left\nsampling:  20 %"));
  CHECK(text.ends_with("sampling:  90 %  100 tokens/s  0:01 left\nsampling: done in 10.0 s  100 tokens/s\n"));
}

TEST_CASE("progress: what was done before counts in the percentage, not in the rate") {
  now = 0;
  std::ostringstream out;
  susc::progress shown(out, "training", 1000, false, "tokens", test_clock);
  shown.skip(400);
  now = 10;
  shown.advance(100);
  now = 60;
  shown.advance(500);
  shown.finish();
  CHECK(out.str() ==
        "training:  50 %  10.0 tokens/s  0:50 left\n"
        "training: done in 60.0 s  10.0 tokens/s\n");
}

TEST_CASE("progress: large steps print no line twice, and too much work is not 110 %") {
  now = 0;
  std::ostringstream out;
  susc::progress shown(out, "work", 10, false, "", test_clock);
  now = 1;
  shown.advance(5);
  shown.advance(0);
  shown.advance(6);
  CHECK(out.str() == "work:  50 %  0:01 left\n");
  shown.finish();
  CHECK(out.str() == "work:  50 %  0:01 left\nwork: 11 of 10 in 1.0 s\n");
}

TEST_CASE("progress: a terminal line is redrawn in place, at most ten times a second") {
  now = 0;
  std::ostringstream out;
  susc::progress shown(out, "training", 100000, true, "tokens", test_clock);
  for (int i = 0; i != 50000; ++i) {
    now += 1.0 / 10000;  // five seconds in all
    shown.advance();
  }
  std::string const text = out.str();
  CHECK(count(text, "\n") == 0);
  CHECK(count(text, "\r") >= 40);
  CHECK(count(text, "\r") <= 51);
  CHECK(count(text, "\x1b[K") == count(text, "\r"));
  std::string const last = text.substr(text.rfind('\r'));
  CHECK(last.starts_with("\rtraining [===========             ]  4"));
  CHECK(last.find("10.0k tokens/s  0:05 left") != std::string::npos);
  shown.finish();
  CHECK(out.str().substr(text.size()) == "\rtraining: 50000 of 100000 in 5.0 s  10.0k tokens/s\x1b[K\n");
}

TEST_CASE("progress: finish prints once, and nothing follows it") {
  now = 0;
  for (bool const terminal : {false, true}) {
    std::ostringstream out;
    {
      susc::progress shown(out, "x", 4, terminal, "", test_clock);
      shown.finish();
      std::string const text = out.str();
      shown.finish();
      shown.advance(2);
      CHECK(out.str() == text);
    }
    CHECK(count(out.str(), "\n") == 1);
  }
}

TEST_CASE("progress: a terminal line left by an exception is ended") {
  now = 0;
  std::ostringstream out;
  { susc::progress(out, "x", 4, true, "", test_clock).advance(); }
  CHECK(out.str().ends_with("\x1b[K\n"));
}

TEST_CASE("progress: no work at all divides by nothing") {
  now = 0;
  std::ostringstream out;
  susc::progress shown(out, "nothing", 0, false, "tokens", test_clock);
  shown.finish();
  CHECK(out.str() == "nothing: done in 0.0 s\n");
}

TEST_CASE("progress: threads lose no count and mix no lines") {
  for (bool const terminal : {false, true}) {
    std::ostringstream out;
    susc::progress shown(out, "sampling", 40000, terminal);
    std::vector<std::jthread> threads;
    for (int t = 0; t != 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i != 10000; ++i) shown.advance();
      });
    threads.clear();
    CHECK(shown.done() == 40000);
    shown.finish();
    std::istringstream lines(out.str());
    std::string line, last;
    std::size_t count_lines = 0;
    for (; std::getline(lines, line, terminal ? '\r' : '\n'); ++count_lines, last = line)
      CHECK_MESSAGE((line.empty() || line.starts_with("sampling")), line);
    if (!terminal) CHECK(count_lines <= 10);
    CHECK(last.starts_with("sampling: done in "));
  }
}

TEST_CASE("progress: a file descriptor that is no terminal is known as such") {
  CHECK_FALSE(susc::is_terminal(-1));
}
