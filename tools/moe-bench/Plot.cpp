// Times against tokens and their bound, as a picture.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Plot.h"

#include <algorithm>
#include <cmath>

namespace moec::bench {

namespace {

constexpr double panelWidth = 560, panelHeight = 340, left = 70, right = 20,
                 top = 40, bottom = 45, legendLine = 16;
// Told apart by who does not see all colours too (Okabe and Ito).
constexpr const char *colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                   "#E69F00", "#56B4E9", "#000000", "#8C564B"};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string escaped(const std::string &text) {
  std::string result;
  for (char c : text)
    result += c == '<'   ? "&lt;"
              : c == '>' ? "&gt;"
              : c == '&' ? "&amp;"
                         : std::string(1, c);
  return result;
}

std::string write(double x, double y, const std::string &text,
                  const char *anchor = "start") {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) +
         "\" text-anchor=\"" + anchor + "\">" + escaped(text) + "</text>\n";
}

/// Places on a logarithmic axis.
struct Axis {
  double least, most, begin, end;

  Axis(double least, double most, double begin, double end)
      : least(std::log10(least)), most(std::log10(most)), begin(begin),
        end(end) {
    if (this->most - this->least < 0.1) {
      this->least -= 0.5;
      this->most += 0.5;
    }
  }
  double at(double value) const {
    return begin + (std::log10(value) - least) / (most - least) * (end - begin);
  }
};

/// One panel at height y; returns its height too.
std::string panel(const std::string &title,
                  std::span<const Measurement *const> points, double y,
                  double &height) {
  double leastTokens = 1e300, mostTokens = 0, leastTime = 1e300, mostTime = 0;
  std::vector<std::string> contenders;
  std::vector<int64_t> tokens;
  for (const Measurement *m : points) {
    double count = std::max<double>(double(m->tokens), 1);
    leastTokens = std::min(leastTokens, count);
    mostTokens = std::max(mostTokens, count);
    leastTime = std::min(
        {leastTime, m->median, m->roofline > 0 ? m->roofline : m->median});
    mostTime = std::max({mostTime, m->median, m->roofline});
    if (std::find(contenders.begin(), contenders.end(), m->contender) ==
        contenders.end())
      contenders.push_back(m->contender);
    if (std::find(tokens.begin(), tokens.end(), m->tokens) == tokens.end())
      tokens.push_back(m->tokens);
  }
  Axis across(leastTokens, mostTokens, left, panelWidth - right);
  Axis up(leastTime * 0.8, mostTime * 1.25, y + panelHeight - bottom, y + top);
  height = panelHeight + legendLine * double(contenders.size()) + 10;

  std::string text = write(left, y + 22, title);
  text += "<rect x=\"" + number(left) + "\" y=\"" + number(y + top) +
          "\" width=\"" + number(panelWidth - left - right) + "\" height=\"" +
          number(panelHeight - top - bottom) +
          "\" fill=\"none\" stroke=\"#999\"/>\n";
  for (int64_t count : tokens)
    text +=
        write(across.at(std::max<double>(double(count), 1)),
              y + panelHeight - bottom + 16, std::to_string(count), "middle");
  text += write((left + panelWidth - right) / 2, y + panelHeight - 10, "tokens",
                "middle");
  for (int power = int(std::floor(up.least)); power <= up.most; ++power)
    for (int digit : {1, 2, 5}) {
      double value = digit * std::pow(10.0, power);
      if (std::log10(value) < up.least || std::log10(value) > up.most)
        continue;
      double height = up.at(value);
      text += "<line x1=\"" + number(left) + "\" x2=\"" +
              number(panelWidth - right) + "\" y1=\"" + number(height) +
              "\" y2=\"" + number(height) + "\" stroke=\"#ddd\"/>\n" +
              write(left - 6, height + 4, describeSeconds(value), "end");
    }
  for (size_t i = 0; i < contenders.size(); ++i) {
    std::string colour = colours[i % std::size(colours)], times, bounds;
    for (const Measurement *m : points) {
      if (m->contender != contenders[i])
        continue;
      double x = across.at(std::max<double>(double(m->tokens), 1));
      times += number(x) + "," + number(up.at(m->median)) + " ";
      if (m->roofline > 0)
        bounds += number(x) + "," + number(up.at(m->roofline)) + " ";
      text += "<circle cx=\"" + number(x) + "\" cy=\"" +
              number(up.at(m->median)) + "\" r=\"3\" fill=\"" + colour +
              "\"/>\n";
    }
    auto line = [&](const std::string &places, const char *dashes) {
      return "<polyline fill=\"none\" stroke=\"" + colour +
             "\" stroke-width=\"1.5\"" + dashes + " points=\"" + places +
             "\"/>\n";
    };
    text += line(times, "");
    if (!bounds.empty())
      text += line(bounds, " stroke-dasharray=\"4 3\"");
    double place = y + panelHeight + legendLine * double(i) + 10;
    text += "<line x1=\"" + number(left) + "\" x2=\"" + number(left + 24) +
            "\" y1=\"" + number(place - 4) + "\" y2=\"" + number(place - 4) +
            "\" stroke=\"" + colour + "\" stroke-width=\"2\"/>\n" +
            write(left + 30, place,
                  contenders[i] + (bounds.empty() ? "" : " (dashes: bound)"));
  }
  return text;
}

} // namespace

std::string toSvg(std::span<const Measurement> measurements) {
  std::vector<std::string> titles;
  std::vector<std::vector<const Measurement *>> panels;
  for (const Measurement &m : measurements) {
    std::string title = m.suite + ": " + m.problem + ", " +
                        std::to_string(m.threads) +
                        (m.threads == 1 ? " thread" : " threads") +
                        (m.routing.empty() ? "" : ", " + m.routing);
    auto place = std::find(titles.begin(), titles.end(), title);
    if (place == titles.end()) {
      titles.push_back(title);
      panels.emplace_back();
      place = titles.end() - 1;
    }
    panels[size_t(place - titles.begin())].push_back(&m);
  }
  std::string body;
  double y = 0;
  for (size_t i = 0; i < panels.size(); ++i) {
    double height = 0;
    body += panel(titles[i], panels[i], y, height);
    y += height;
  }
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
         number(panelWidth) + "\" height=\"" + number(y) +
         "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect "
         "width=\"100%\" height=\"100%\" fill=\"white\"/>\n" +
         body + "</svg>\n";
}

} // namespace moec::bench
