// Makes artifacts of a suite's contenders with moe-compile.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Compile.h"

#include "weights/Json.h"
#include "weights/File.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

using moec::weights::JsonValue;
using namespace moec::weights;

extern char **environ;

namespace moec::bench {

Result<std::string> findGenerator(const Suite &suite) {
  std::error_code code;
  std::filesystem::path folder = std::filesystem::absolute(
      suite.folder.empty() ? "." : suite.folder, code);
  for (;; folder = folder.parent_path()) {
    for (const char *place : {"make_module.py", "bench/make_module.py"})
      if (std::filesystem::exists(folder / place, code))
        return (folder / place).string();
    if (folder == folder.parent_path())
      return Error{"expected make_module.py in the folder of suite '" +
                   suite.name + "' or above it, found none"};
  }
}

std::string findCompiler() {
  std::error_code code;
  std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", code);
  std::filesystem::path program = self.parent_path() / "moe-compile";
  return std::filesystem::exists(program, code) ? program.string()
                                                : "moe-compile";
}

static std::string lastLineOf(const std::string &path) {
  std::ifstream file(path);
  std::string line, last;
  while (std::getline(file, line))
    // Of a diagnostic the line that says what is wrong.
    if (!line.empty() && last.find("error:") == std::string::npos)
      last = line;
  return last;
}

Status runProgram(const std::vector<std::string> &words,
                  const std::string &output) {
  std::vector<char *> arguments;
  for (const std::string &word : words)
    arguments.push_back(const_cast<char *>(word.c_str()));
  arguments.push_back(nullptr);
  std::error_code code;
  std::string errors = (std::filesystem::temp_directory_path(code) /
                        ("moe-bench-" + std::to_string(::getpid()) + ".stderr"))
                           .string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(
      &actions, STDOUT_FILENO, output.empty() ? "/dev/null" : output.c_str(),
      O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0666);
  pid_t child = 0;
  int failure = ::posix_spawnp(&child, arguments[0], &actions, nullptr,
                               arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0)
    return Error{words[0] + ": cannot run: " + std::strerror(failure)};
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  std::string last = lastLineOf(errors);
  ::unlink(errors.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return success();
  return Error{words[0] + ": " +
               (last.empty() ? "failed without a word" : last)};
}

std::string fileName(const std::string &text) {
  std::string name;
  for (char c : text)
    name += std::isalnum(static_cast<unsigned char>(c)) ? c : '-';
  return name;
}

Result<std::string> writeModule(const Compiler &compiler,
                                const Problem &problem,
                                const ContenderSpec &contender) {
  std::string path = compiler.scratch + "/" + fileName(problem.name) + "-" +
                     fileName(contender.name) + ".mlir";
  if (Status status = runProgram(
          {"python3", compiler.generator, moduleRequest(problem, contender)},
          path);
      !status)
    return Error{status.error()};
  return path;
}

/// moe-compile with the flags of the command line and of the problem; for this
/// machine unless they say for which.
static std::vector<std::string> command(const Compiler &compiler,
                                        const Problem &problem,
                                        std::vector<std::string> words) {
  words.insert(words.begin(), compiler.program);
  words.insert(words.end(), compiler.flags.begin(), compiler.flags.end());
  words.insert(words.end(), problem.flags.begin(), problem.flags.end());
  if (std::none_of(words.begin(), words.end(), [](const std::string &word) {
        return word.starts_with("--cpu") || word.starts_with("--isas") ||
               word.starts_with("--target");
      }))
    words.push_back("--cpu=native");
  return words;
}

Result<std::string> compileArtifact(const Compiler &compiler,
                                    const Problem &problem,
                                    const ContenderSpec &contender) {
  Result<std::string> module = writeModule(compiler, problem, contender);
  if (!module)
    return Error{module.error()};
  std::string artifact =
      module->substr(0, module->size() - std::strlen(".mlir")) + ".moec";
  std::vector<std::string> words{
      *module,          "-o",
      artifact,         "--optimize",
      "--separate-weights", "--no-archive",
      "--weights=model=seeded:1"};
  words.insert(words.end(), contender.flags.begin(), contender.flags.end());
  if (Status status = runProgram(
          command(compiler, problem, words),
          "");
      !status)
    return Error{status.error()};
  return artifact;
}

Result<std::vector<Stage>> parseStages(const std::string &name,
                                       std::string_view text) {
  Result<JsonValue> report = weights::parseJson(name, text);
  if (!report)
    return Error{report.error()};
  const JsonValue *list = report->member("stages");
  if (!list || list->kind != JsonValue::Kind::Array || list->items.empty())
    return Error{name + ": expected the stages of moe-compile --report, found "
                        "none"};
  std::vector<Stage> stages;
  double sum = 0;
  for (const JsonValue &item : list->items) {
    const JsonValue *stage = item.member("name");
    const JsonValue *time = item.member("milliseconds");
    if (!stage || !time)
      return Error{name +
                   ": expected the name and the milliseconds of a stage, "
                   "found " +
                   describe(item)};
    double seconds =
        1e-3 * (time->kind == JsonValue::Kind::Integer ? double(time->integer)
                                                       : time->real);
    sum += seconds;
    auto place =
        std::find_if(stages.begin(), stages.end(), [&](const Stage &known) {
          return known.name == stage->string;
        });
    if (place == stages.end())
      stages.push_back({stage->string, seconds});
    else
      place->seconds += seconds;
  }
  stages.insert(stages.begin(), {"all", sum});
  return stages;
}

Result<std::vector<Stage>> timeCompilation(const Compiler &compiler,
                                           const Problem &problem,
                                           const std::string &input) {
  std::string base = compiler.scratch + "/" + fileName(problem.name);
  std::string report = base + ".json";
  std::vector<std::string> words = {input, "-o", base + ".moec",
                                    "--report=" + report};
  if (problem.checkpoint.empty())
    words.insert(words.end(), {"--optimize", "--separate-weights",
                               "--no-archive", "--weights=model=seeded:1"});
  if (Status status = runProgram(command(compiler, problem, words), "");
      !status)
    return Error{status.error()};
  Result<MappedFile> file = MappedFile::open(report);
  if (!file)
    return Error{file.error()};
  return parseStages(report,
                     {reinterpret_cast<const char *>(file->bytes().data()),
                      file->bytes().size()});
}

} // namespace moec::bench
