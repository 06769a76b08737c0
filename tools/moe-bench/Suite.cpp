// A suite: problems, and who is to solve them. bench/README.md has the format.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Suite.h"

#include "weights/Json.h"
#include "weights/File.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

using moec::weights::describe;
using moec::weights::JsonValue;
using namespace moec::weights;

namespace moec::bench {

namespace {

constexpr std::pair<const char *, Kind> kinds[] = {{"kernel", Kind::Kernel},
                                                   {"layer", Kind::Layer},
                                                   {"block", Kind::Block},
                                                   {"router", Kind::Router},
                                                   {"compile", Kind::Compile}};

constexpr std::pair<const char *, Solver> solvers[] = {
    {"moec", Solver::Moec},
    {"openblas", Solver::OpenBlas},
    {"blis", Solver::Blis},
    {"onednn", Solver::OneDnn}};

/// Reads the members of one object; the first thing wrong is kept.
class Reader {
public:
  Reader(const JsonValue &object, std::string where)
      : object(object), where(std::move(where)) {
    if (object.kind != JsonValue::Kind::Object)
      fail("expected an object, found " + describe(object));
  }

  /// A whole number of at least `least`.
  void read(const char *key, int64_t &field, int64_t least,
            bool needed = false) {
    const JsonValue *value = find(key, needed);
    if (!value)
      return;
    constexpr int64_t most = int64_t(1) << 24;
    if (value->kind != JsonValue::Kind::Integer || value->integer < least ||
        value->integer > most)
      return fail("expected '" + std::string(key) + "' to be a number from " +
                  std::to_string(least) + " to " + std::to_string(most) +
                  ", found " + describe(*value));
    field = value->integer;
  }

  void read(const char *key, std::string &field, bool needed = false) {
    const JsonValue *value = find(key, needed);
    if (!value)
      return;
    if (value->kind != JsonValue::Kind::String || value->string.empty())
      return fail("expected '" + std::string(key) + "' to be text, found " +
                  describe(*value));
    field = value->string;
  }

  void read(const char *key, double &field, double most) {
    const JsonValue *value = find(key, false);
    if (!value)
      return;
    double number = value->kind == JsonValue::Kind::Integer
                        ? double(value->integer)
                        : value->real;
    if ((value->kind != JsonValue::Kind::Integer &&
         value->kind != JsonValue::Kind::Real) ||
        !(number >= 0 && number <= most))
      return fail(
          "expected '" + std::string(key) + "' to be a number from 0 to " +
          std::to_string(int64_t(most)) + ", found " + describe(*value));
    field = number;
  }

  void read(const char *key, Encoding &field) {
    std::string text;
    read(key, text);
    if (text.empty() || !error.empty())
      return;
    Result<Encoding> encoding = encodingFromText(text);
    if (!encoding)
      return fail("'" + std::string(key) + "': " + encoding.error());
    field = *encoding;
  }

  /// One of some words.
  template <typename T, size_t n>
  void read(const char *key, T &field,
            const std::pair<const char *, T> (&words)[n], bool needed = false) {
    std::string text, all;
    read(key, text, needed);
    if (text.empty())
      return;
    for (const auto &[word, value] : words) {
      if (text == word) {
        field = value;
        return;
      }
      all += (all.empty() ? "" : ", ") + std::string(word);
    }
    fail("expected '" + std::string(key) + "' to be one of " + all +
         ", found " + weights::quote(text));
  }

  const JsonValue *array(const char *key, bool needed) {
    const JsonValue *value = find(key, needed);
    if (!value)
      return nullptr;
    if (value->kind == JsonValue::Kind::Array && !value->items.empty())
      return value;
    fail("expected '" + std::string(key) + "' to be a list, found " +
         describe(*value));
    return nullptr;
  }

  void fail(const std::string &message) {
    if (error.empty())
      error = where + message;
  }

  /// Also refuses keys that nothing asked for.
  Status finish() {
    for (const std::string &key : object.keys)
      if (!known.count(key))
        fail("expected no '" + key + "'");
    return error.empty() ? success() : Status(Error{error});
  }

  const std::string &firstError() const { return error; }

  /// What stands before messages from now on.
  void sayWhere(std::string text) { where = std::move(text); }

  /// Flags of moe-compile.
  void readFlags(std::vector<std::string> &flags) {
    if (const JsonValue *list = array("flags", false))
      for (const JsonValue &flag : list->items) {
        if (flag.kind != JsonValue::Kind::String)
          fail("expected 'flags' to be texts, found " + describe(flag));
        flags.push_back(flag.string);
      }
  }

private:
  const JsonValue *find(const char *key, bool needed) {
    known.insert(key);
    const JsonValue *value = object.member(key);
    if (!value && needed)
      fail("expected '" + std::string(key) + "', found none");
    return value;
  }

  const JsonValue &object;
  std::string where;
  std::string error;
  std::set<std::string> known;
};

Result<ContenderSpec> parseContender(const JsonValue &value,
                                     const Problem &problem,
                                     const std::string &where) {
  ContenderSpec contender;
  Reader reader(value, where);
  reader.read("name", contender.name, /*needed=*/true);
  reader.read("solver", contender.solver, solvers);
  constexpr std::pair<const char *, bool> forms[] = {{"uncompressed", false},
                                                     {"compressed", true}};
  reader.read("form", contender.compressed, forms);
  reader.read("keep", contender.keep, 0);
  reader.readFlags(contender.flags);
  constexpr std::pair<const char *, const char *> scores[] = {
      {"max", "max"}, {"sum", "sum"}, {"top2_sum", "top2_sum"}};
  const char *by = "max";
  reader.read("by", by, scores);
  contender.by = by;
  if (contender.keep > problem.clusters)
    reader.fail("expected 'keep' to be at most the problem's clusters, " +
                std::to_string(problem.clusters) + ", found " +
                std::to_string(contender.keep));
  if (contender.keep > 0 &&
      contender.keep * (problem.experts / problem.clusters) < problem.k)
    reader.fail("expected 'keep' clusters to have 'k' experts, found " +
                std::to_string(contender.keep) + " of " +
                std::to_string(problem.experts / problem.clusters));
  if (contender.solver != Solver::Moec && problem.kind != Kind::Kernel &&
      problem.kind != Kind::Layer)
    reader.fail("expected the solver of a " + kindName(problem.kind) +
                " to be moec");
  if (contender.solver != Solver::Moec && problem.kind == Kind::Layer &&
      contender.by != "max")
    reader.fail("expected a library's contender to score by max");
  if (Status status = reader.finish(); !status)
    return Error{status.error()};
  return contender;
}

Result<Problem> parseProblem(const JsonValue &value, Kind kind,
                             const std::string &where) {
  Problem problem;
  problem.kind = kind;
  problem.base.format = problem.residual.format = Format::F16;
  Reader reader(value, where);
  reader.read("name", problem.name, /*needed=*/true);
  reader.sayWhere(where + "'" + problem.name + "': ");
  reader.read("checkpoint", problem.checkpoint);
  bool isModule = problem.checkpoint.empty();
  if (!isModule && kind != Kind::Compile)
    reader.fail("expected 'checkpoint' in suites of kind compile only");
  bool hasWidth = isModule && kind != Kind::Router;
  bool hasExperts = isModule && kind != Kind::Kernel;
  reader.read("width", problem.width, 1, hasWidth);
  reader.read("inner", problem.inner, 1, hasWidth);
  reader.read("experts", problem.experts, 1, hasExperts);
  reader.read("clusters", problem.clusters, 1, hasExperts);
  reader.read("k", problem.k, 1, hasExperts);
  reader.read("rank", problem.rank, 0);
  reader.read("layers", problem.layers, 1);
  reader.read("encoding", problem.base);
  reader.read("residual_encoding", problem.residual);
  reader.read("zipf", problem.zipf, 10);
  reader.readFlags(problem.flags);
  if (const JsonValue *tokens = reader.array("tokens", kind != Kind::Compile))
    for (const JsonValue &count : tokens->items) {
      if (count.kind != JsonValue::Kind::Integer || count.integer < 1 ||
          count.integer > 1 << 20)
        reader.fail(
            "expected 'tokens' to be numbers from 1 to 1048576, found " +
            describe(count));
      problem.tokens.push_back(count.integer);
    }
  if (problem.experts % problem.clusters != 0)
    reader.fail("expected clusters of equal size, found " +
                std::to_string(problem.experts) + " experts in " +
                std::to_string(problem.clusters) + " clusters");
  if (problem.k > problem.experts)
    reader.fail("expected 'k' to be at most 'experts', found " +
                std::to_string(problem.k) + " of " +
                std::to_string(problem.experts));
  if (isModule && kind != Kind::Router)
    for (const auto &[rows, columns] :
         {std::pair(problem.width, problem.inner),
          std::pair(problem.inner, problem.width)})
      if (Status status =
              verifyEncoding(problem.base, {problem.clusters, rows, columns});
          !status && (kind != Kind::Kernel || rows == problem.width))
        reader.fail("'encoding': " + status.error());
  if (isModule && problem.rank > 0)
    for (const auto &[rows, columns] : {std::pair(problem.width, problem.rank),
                                        std::pair(problem.rank, problem.inner)})
      if (Status status = verifyEncoding(problem.residual,
                                         {problem.experts, rows, columns});
          !status && kind != Kind::Router)
        reader.fail("'residual_encoding': " + status.error());
  std::set<std::string> names;
  const JsonValue *contenders =
      reader.array("contenders", kind != Kind::Compile);
  if (reader.firstError().empty() && contenders)
    for (const JsonValue &item : contenders->items) {
      Result<ContenderSpec> contender = parseContender(
          item, problem,
          where + "'" + problem.name + "': contender " +
              std::to_string(problem.contenders.size() + 1) + ": ");
      if (!contender)
        return Error{contender.error()};
      if (!names.insert(contender->name).second)
        reader.fail("expected each contender once, found '" + contender->name +
                    "' twice");
      if (contender->compressed && problem.rank == 0)
        reader.fail("expected 'rank' of compressed contenders, found none");
      problem.contenders.push_back(*std::move(contender));
    }
  if (problem.contenders.empty()) {
    problem.contenders.emplace_back();
    problem.contenders[0].name = "moec";
    problem.contenders[0].compressed = problem.rank > 0;
  }
  if (Status status = reader.finish(); !status)
    return Error{status.error()};
  return problem;
}

} // namespace

std::string kindName(Kind kind) {
  for (const auto &[name, value] : kinds)
    if (value == kind)
      return name;
  return "";
}

Result<Suite> parseSuite(const std::string &name, std::string_view text) {
  Result<JsonValue> root = weights::parseJson(name, text);
  if (!root)
    return Error{root.error()};
  Suite suite;
  Kind kind = Kind::Layer;
  Reader reader(*root, name + ": ");
  reader.read("suite", suite.name, /*needed=*/true);
  reader.read("kind", kind, kinds, /*needed=*/true);
  const JsonValue *problems = reader.array("problems", /*needed=*/true);
  if (Status status = reader.finish(); !status)
    return Error{status.error()};
  std::set<std::string> names;
  for (const JsonValue &item : problems->items) {
    Result<Problem> problem = parseProblem(item, kind, name + ": problem ");
    if (!problem)
      return Error{problem.error()};
    if (!names.insert(problem->name).second)
      return Error{name + ": expected each problem once, found '" +
                   problem->name + "' twice"};
    suite.problems.push_back(*std::move(problem));
  }
  return suite;
}

Result<Suite> readSuite(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return Error{file.error()};
  std::span<const uint8_t> bytes = file->bytes();
  Result<Suite> suite = parseSuite(
      path, {reinterpret_cast<const char *>(bytes.data()), bytes.size()});
  if (suite)
    suite->folder = std::filesystem::path(path).parent_path().string();
  return suite;
}

std::string moduleRequest(const Problem &problem,
                          const ContenderSpec &contender) {
  auto number = [](const char *key, int64_t value) {
    return ", \"" + std::string(key) + "\": " + std::to_string(value);
  };
  return "{\"kind\": \"" + kindName(problem.kind) + "\", \"form\": \"" +
         (contender.compressed ? "compressed" : "uncompressed") +
         "\", \"by\": \"" + contender.by + "\", \"encoding\": \"" +
         toString(problem.base) + "\", \"residual_encoding\": \"" +
         toString(problem.residual) + "\"" + number("keep", contender.keep) +
         number("width", problem.width) + number("inner", problem.inner) +
         number("experts", problem.experts) +
         number("clusters", problem.clusters) + number("k", problem.k) +
         number("rank", problem.rank) + number("layers", problem.layers) + "}";
}

} // namespace moec::bench
