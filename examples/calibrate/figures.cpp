#include "figures.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>
#include <utility>

namespace calibrate {

std::string digits(double value, char const* format) {
  if (!std::isfinite(value)) return "–";
  char text[40];
  std::snprintf(text, sizeof text, format, value);
  return text[0] == '-' ? std::string("−") + (text + 1) : text;
}

namespace {

using susc::detail::concatenate;

/// One figure: a quantity against the step size, one line for each n_beta.
struct figure {
  char const* title;
  char const* caption;
  double low, high;  // of the vertical axis; what lies beyond is drawn at the edge
  std::function<double(measurement const&)> value;
  std::function<double(measurement const&)> error;  // none: no bars
  std::vector<double> limits = {};                  // of a rule: dashed lines
  double width = 540, height = 300;
  bool logarithmic = false;  // the vertical axis
};

class drawing {
 public:
  drawing(figure const& f, calibration const& c, double localization) : f_(f), c_(c) {
    for (std::size_t i = 0; i != c.table.size(); ++i)
      if (c.table[i].localization == localization) rows_.push_back(i), steps_.insert(c.table[i].step_size);
  }

  std::string svg() {
    out_ = concatenate("<figure><h3>", f_.title, "</h3><svg viewBox='0 0 ", f_.width, " ", f_.height,
                       "' role='img' aria-label='", f_.title, "'>");
    axes();
    for (double const limit : f_.limits)
      if (limit > f_.low && limit < f_.high) line(left, y(limit), f_.width - right, y(limit), "limit");
    auto const& n_betas = c_.settings.n_betas;
    for (std::size_t k = 0; k != n_betas.size(); ++k) curve(k, n_betas[k]);
    return out_ + concatenate("</svg><figcaption class='caption'>", f_.caption, "</figcaption></figure>\n");
  }

 private:
  static constexpr double left = 46, right = 14, top = 12, bottom = 40;

  double x(double step) const {
    double const low = std::log(*steps_.begin()), high = std::log(*steps_.rbegin());
    double const part = high > low ? (std::log(step) - low) / (high - low) : .5;
    return left + 22 + part * (f_.width - left - right - 44);
  }
  double y(double value) const {
    double const part =
        f_.logarithmic ? std::log(value / f_.low) / std::log(f_.high / f_.low) : (value - f_.low) / (f_.high - f_.low);
    return f_.height - bottom - std::clamp(part, 0., 1.) * (f_.height - bottom - top);
  }
  void line(double x1, double y1, double x2, double y2, char const* kind) {
    out_ += concatenate("<line x1='", x1, "' y1='", y1, "' x2='", x2, "' y2='", y2, "' class='", kind, "'/>");
  }
  void text(double at_x, double at_y, char const* anchor, std::string const& label, char const* kind = "quiet") {
    out_ += concatenate("<text x='", at_x, "' y='", at_y, "' text-anchor='", anchor, "' class='", kind, "'>", label,
                        "</text>");
  }
  std::vector<double> ticks() const {
    std::vector<double> found;
    if (f_.logarithmic) {
      bool const wide = f_.high > 30 * f_.low;
      for (double decade = std::pow(10, std::floor(std::log10(f_.low))); decade <= f_.high; decade *= 10)
        for (double const m : wide ? std::vector<double>{1, 3} : std::vector<double>{1, 2, 3, 5, 7})
          if (m * decade >= f_.low && m * decade <= f_.high) found.push_back(m * decade);
      return found;
    }
    double const raw = (f_.high - f_.low) / 5, unit = std::pow(10, std::floor(std::log10(raw)));
    double const each = unit * (raw <= 1.001 * unit ? 1 : raw <= 2 * unit ? 2 : raw <= 5 * unit ? 5 : 10);
    for (double k = std::ceil(f_.low / each - 1e-9); k * each <= f_.high + 1e-9 * each; ++k)
      found.push_back(k * each + 0.);  // no -0
    return found;
  }
  void axes() {
    for (double const value : ticks()) {
      line(left, y(value), f_.width - right, y(value), value == 0 ? "zero" : "grid");
      text(left - 7, y(value) + 4, "end", digits(value));
    }
    double last = -100;
    for (double const step : steps_) {
      line(x(step), f_.height - bottom, x(step), f_.height - bottom + 4, "zero");
      if (x(step) - last < 54) continue;
      text(last = x(step), f_.height - bottom + 17, "middle", digits(step));
    }
    text((left + f_.width - right) / 2, f_.height - 6, "middle", "step size ε");
  }
  void curve(std::size_t k, double n_beta) {
    std::string path, marks, colour = concatenate("style='color: var(--chain", k % 8, ")'");
    double const aside = 5 * (static_cast<double>(k) - (static_cast<double>(c_.settings.n_betas.size()) - 1) / 2);
    for (std::size_t const i : rows_) {
      measurement const& m = c_.table[i];
      if (m.n_beta != n_beta) continue;
      double const value = f_.value(m), px = x(m.step_size) + aside, py = y(value);
      if (std::isnan(value)) {
        path += ' ';  // the line is broken
        continue;
      }
      bool const begins = path.empty() || path.back() == ' ', outside = value > f_.high || value < f_.low;
      path += concatenate(begins ? "M" : "L", px, ",", py);
      marks += concatenate("<g><title>n_beta ", digits(n_beta), ", step size ", digits(m.step_size), ": ",
                           digits(value), f_.error ? " ± " + digits(f_.error(m), "%.2g") : "", "</title>");
      if (f_.error && !outside && std::isfinite(f_.error(m)))
        marks += concatenate("<path class='bar-line' d='M", px, ",", y(value - f_.error(m)), "V",
                             y(value + f_.error(m)), "'/>");
      if (c_.advice.best == i) marks += concatenate("<circle class='ring' cx='", px, "' cy='", py, "' r='9'/>");
      char const* kind = c_.advice.broken[i].empty() ? "keeps" : "breaks";
      double const tip = value > f_.high ? -7 : 7;
      marks += outside ? concatenate("<path class='", kind, "' d='M", px - 5, ",", py, "h10l-5,", tip, "z'/>")
                       : concatenate("<circle class='", kind, "' cx='", px, "' cy='", py, "' r='4'/>");
      marks += "</g>";
    }
    if (path.find_first_not_of(' ') != std::string::npos)
      out_ += concatenate("<g ", colour, "><path class='curve' d='", path, "'/>", marks, "</g>");
  }

  figure const& f_;
  calibration const& c_;
  std::vector<std::size_t> rows_;
  std::set<double> steps_;
  std::string out_;
};

/// The largest of what `of` says about the settings with this localization: of those that keep every rule, and of the
/// others as far as the axis can show both.
double largest(calibration const& c, double localization, std::function<double(measurement const&)> const& of) {
  double kept = 0, any = 0;
  for (std::size_t i = 0; i != c.table.size(); ++i) {
    double const value = of(c.table[i]);
    if (!std::isfinite(value) || c.table[i].localization != localization) continue;
    any = std::max(any, value);
    if (c.advice.broken[i].empty()) kept = std::max(kept, value);
  }
  double const most = kept > 0 ? std::min(any, 4 * kept) : any;
  return most > 0 ? most : 1;
}

}  // namespace

std::string figures(calibration const& c, double localization) {
  auto const llc = [](measurement const& m) { return m.learning_coefficient.value; };
  auto const error = [](measurement const& m) { return m.learning_coefficient.error; };
  auto const speed = [](measurement const& m) { return m.ess_per_second; };
  double high = 1.08 * largest(c, localization, [&](measurement const&m) { return llc(m) + error(m); }), low = 0,
         least = high;
  for (measurement const& m : c.table) {
    if (!std::isfinite(llc(m)) || m.localization != localization) continue;
    least = std::min(least, llc(m));
    low = std::max(-.3 * high, std::min(low, llc(m) - error(m)));
  }
  bool const logarithmic = least > 0 && high > 3 * least;  // a line's bend is then relative
  if (logarithmic) low = .8 * least, high *= 1.1;
  figure const large[] = {{"Learning coefficient nβ (E[L] − L(w*))",
                           "A line that bends away from its left end shows the bias of the step size.",
                           low,
                           high,
                           llc,
                           error,
                           {},
                           540,
                           300,
                           logarithmic},
                          {"Effective draws a second, of one thread",
                           "What the draws of a second are worth: more is better.",
                           0,
                           1.08 * largest(c, localization, speed),
                           speed,
                           {}}};
  figure const small[] = {
      {"R-hat",
       "Dashed: 1.05, above which the chains disagree.",
       1,
       std::clamp(1.02 * largest(c, localization, [](measurement const& m) { return m.r_hat; }), 1.1, 1.6),
       [](measurement const& m) { return m.r_hat; },
       {},
       {highest_r_hat},
       350,
       200},
      {"Drift, in standard errors",
       "Dashed: 4. Second half of the draws against the first.",
       -6,
       6,
       [](measurement const& m) { return m.drift; },
       {},
       {-largest_drift, largest_drift},
       350,
       200},
      {"Acceptance of the step by MALA",
       "Of SGLD’s step, from these draws. Shown, not required: it says little about the bias of the LLC.",
       -.06,
       1.04,
       [](measurement const& m) { return m.acceptance; },
       {},
       {},
       350,
       200}};
  std::string out = "<div class='panels'>";
  for (auto const& f : large) out += drawing(f, c, localization).svg();
  out += "</div><div class='thirds'>";
  for (auto const& f : small) out += drawing(f, c, localization).svg();
  return out + "</div>";
}

std::string legend(calibration const& c) {
  std::string out = "<div class='legend'>";
  for (std::size_t k = 0; k != c.settings.n_betas.size(); ++k)
    out += concatenate("<span><i class='swatch' style='background: var(--chain", k % 8, ")'></i>nβ ",
                       digits(c.settings.n_betas[k]), "</span>");
  for (auto const& [kind, label] : {std::pair{"keeps", "keeps every rule"}, {"breaks", "breaks one"}})
    out += concatenate("<span><svg width='12' height='12'><circle class='", kind, "' cx='6' cy='6' r='4'/></svg>",
                       label, "</span>");
  if (c.advice.best)
    out +=
        "<span><svg width='22' height='22'><circle class='ring' cx='11' cy='11' r='9'/><circle class='keeps' "
        "cx='11' cy='11' r='4'/></svg>recommended</span>";
  return out + "<span>▲▼ beyond the axis</span></div>";
}

}  // namespace calibrate
