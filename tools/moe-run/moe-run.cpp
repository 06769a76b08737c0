// Runs one entry of a compiled artifact and prints what comes out.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/library.h"
#include "tools/moe-run/Options.h"
#include "tools/moe-run/Tensors.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>

using namespace moec::run;
using namespace moec::weights;

namespace {

enum ExitCode { Succeeded = 0, FailedAtRunTime = 1, WrongUsage = 2 };

struct CloseLibrary {
  void operator()(moert_library *library) const {
    moert_library_close(library);
  }
};

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};

/// The entry that is asked for, or the only one.
Result<const moert_library_entry *> findEntry(const moert_library *library,
                                              const std::string &name) {
  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
  const moert_library_entry *entry = nullptr;
  int32_t count = 0;
  moert_library_entry_count(library, &count);
  if (name.empty() && count == 1) {
    moert_library_entry_at(library, 0, &entry);
    return entry;
  }
  // No entry has the empty name, so the message lists those there are.
  if (moert_library_find_entry(library, name.c_str(), &sink, &entry) !=
      MOERT_OK)
    return Error{name.empty() ? std::string("--entry is needed: ") + text
                              : std::string(text)};
  return entry;
}

void listEntries(const moert_library *library) {
  const moert_library_entry *entry = nullptr;
  for (int32_t i = 0; moert_library_entry_at(library, i, &entry) == MOERT_OK;
       ++i) {
    const char *name = nullptr;
    moert_library_entry_name(entry, &name);
    std::printf("%s\n", name);
    const moert_argument *argument = nullptr;
    for (int32_t a = 0; moert_library_argument(entry, a, &argument) == MOERT_OK;
         ++a)
      std::printf("  %-6s %s: %s\n", argument->is_output ? "output" : "input",
                  argument->name, describe(*argument).c_str());
  }
}

/// Runs the entry `repeat` times; returns the seconds of each run.
Result<std::vector<double>> callEntry(const moert_library_entry *entry,
                                      std::vector<Tensor> &tensors,
                                      int64_t repeat) {
  std::vector<DLTensor> views;
  for (Tensor &tensor : tensors)
    views.push_back({tensor.data.data(),
                     {kDLCPU, 0},
                     int32_t(tensor.shape.size()),
                     {tensor.argument->code, tensor.argument->bits, 1},
                     tensor.shape.data(),
                     nullptr,
                     0});
  std::vector<DLTensor *> args;
  for (DLTensor &view : views)
    args.push_back(&view);

  char text[512] = "";
  moert_call call = {};
  call.size = sizeof call;
  call.abi_version = MOERT_ABI_VERSION;
  call.error = {text, sizeof text};
  auto check = [&](moert_status_t status) {
    const char *name = "";
    moert_status_name(status, &name);
    if (status == MOERT_OK)
      return success();
    return Status(Error{std::string(text) + " (" + name + ")"});
  };
  uint64_t bytes = 0;
  if (Status status = check(moert_library_workspace_bytes(
          entry, &call, args.data(), int32_t(args.size()), &bytes));
      !status)
    return Error{status.error()};
  std::unique_ptr<void, Free> workspace;
  if (bytes > 0) {
    call.workspace_bytes = (bytes + 63) / 64 * 64;
    workspace.reset(std::aligned_alloc(64, call.workspace_bytes));
    call.workspace = workspace.get();
    if (!call.workspace)
      return Error{"expected " + std::to_string(bytes) +
                   " bytes of workspace, found too little memory"};
  }
  std::vector<double> seconds;
  for (int64_t i = 0; i < repeat; ++i) {
    auto start = std::chrono::steady_clock::now();
    Status status = check(
        moert_library_call(entry, &call, args.data(), int32_t(args.size())));
    std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - start;
    if (!status)
      return Error{status.error()};
    seconds.push_back(elapsed.count());
  }
  return seconds;
}

Status run(const Options &options) {
  char text[512] = "";
  moert_error_sink sink = {text, sizeof text};
  moert_library *opened = nullptr;
  if (moert_library_open(options.artifact.c_str(), &sink, &opened) != MOERT_OK)
    return Error{text};
  std::unique_ptr<moert_library, CloseLibrary> library(opened);
  if (options.list) {
    listEntries(library.get());
    return success();
  }
  Result<const moert_library_entry *> entry =
      findEntry(library.get(), options.entry);
  if (!entry)
    return Error{entry.error()};
  Result<std::vector<Tensor>> tensors = makeTensors(*entry, options);
  if (!tensors)
    return Error{tensors.error()};
  Result<std::vector<double>> seconds =
      callEntry(*entry, *tensors, options.repeat);
  if (!seconds)
    return Error{seconds.error()};

  std::error_code code;
  if (!options.output.empty() &&
      (std::filesystem::create_directories(options.output, code), code))
    return Error{options.output + ": cannot create: " + code.message()};
  for (const Tensor &tensor : *tensors) {
    if (!tensor.argument->is_output)
      continue;
    std::printf("%s\n", summarize(tensor).c_str());
    if (options.print)
      std::fputs(printValues(tensor).c_str(), stdout);
    if (options.output.empty())
      continue;
    if (Status status = writeTensor(options.output, tensor); !status)
      return status;
  }
  if (options.repeat > 1) {
    std::sort(seconds->begin(), seconds->end());
    std::printf("%lld runs: min %.1f us, median %.1f us\n",
                static_cast<long long>(options.repeat), seconds->front() * 1e6,
                (*seconds)[seconds->size() / 2] * 1e6);
  }
  return success();
}

} // namespace

int main(int argc, char **argv) {
  Result<Options> options =
      parseOptions(std::span(argv + 1, argc > 0 ? size_t(argc - 1) : 0));
  if (!options) {
    std::fprintf(stderr, "moe-run: %s\nSee moe-run --help.\n",
                 options.error().c_str());
    return WrongUsage;
  }
  if (options->help) {
    std::fputs(helpText, stdout);
    return Succeeded;
  }
  if (options->version) {
    uint32_t abi = 0;
    moert_runtime_abi_version(&abi);
    std::printf("moe-run %s, ABI %u.%u\n", MOEC_VERSION, abi >> 16,
                abi & 0xFFFF);
    return Succeeded;
  }
  // Extents are the user's, so memory may end; vectors say so by an exception.
  try {
    Status status = run(*options);
    if (status)
      return Succeeded;
    std::fprintf(stderr, "moe-run: %s\n", status.error().c_str());
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "moe-run: out of memory\n");
  }
  return FailedAtRunTime;
}
