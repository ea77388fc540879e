#include "susc/report/page_map.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>

TEST_CASE("page_map: may stand inside a <script> element, in one string literal, in any encoding") {
  std::string_view const script = susc::detail::report_map;
  CHECK(script.find("</script") == std::string_view::npos);
  CHECK(script.find("<!--") == std::string_view::npos);
  CHECK(script.size() < 65536);
  CHECK(std::all_of(script.begin(), script.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
}

TEST_CASE("page_map: data reaches the page as text, never as markup or code") {
  for (std::string_view const way :
       {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"})
    CHECK_MESSAGE(susc::detail::report_map.find(way) == std::string_view::npos, way);
}
