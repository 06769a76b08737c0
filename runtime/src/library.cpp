// Opening an artifact and calling its entries.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "library.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

using namespace moec::runtime;

namespace {

constexpr size_t mostManifestBytes = size_t(16) << 20;

/// A text file of at most mostManifestBytes.
moert_status_t readText(const std::string &path, std::string &text,
                        std::string &error) {
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "rbe"),
                                              &std::fclose);
  if (!file) {
    error = path + ": cannot open: " + std::strerror(errno);
    return MOERT_IO_ERROR;
  }
  char buffer[4096];
  size_t count = 0;
  while ((count = std::fread(buffer, 1, sizeof buffer, file.get())) > 0) {
    text.append(buffer, count);
    if (text.size() > mostManifestBytes) {
      error = path + ": expected at most " + std::to_string(mostManifestBytes) +
              " bytes, found more";
      return MOERT_INCOMPATIBLE;
    }
  }
  if (std::ferror(file.get())) {
    error = path + ": cannot read: " + std::strerror(errno);
    return MOERT_IO_ERROR;
  }
  return MOERT_OK;
}

std::string_view withoutTrailingSpace(std::string_view text) {
  size_t last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

template <typename Function> Function symbol(void *handle, const char *name) {
  return reinterpret_cast<Function>(dlsym(handle, name));
}

/// The machine that this code is for, as ELF numbers them; EM_NONE where it is not known.
#if defined(__x86_64__)
constexpr unsigned ownMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned ownMachine = EM_AARCH64;
#else
constexpr unsigned ownMachine = EM_NONE;
#endif

std::string machineName(unsigned machine) {
  switch (machine) {
  case EM_X86_64:
    return "x86-64";
  case EM_AARCH64:
    return "AArch64";
  default:
    return "ELF's machine " + std::to_string(machine);
  }
}

/// The machine that an ELF file is for; EM_NONE of other files.
unsigned machineOf(const std::string &path) {
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "rbe"),
                                              &std::fclose);
  Elf64_Ehdr header = {};
  if (!file || std::fread(&header, sizeof header, 1, file.get()) != 1 ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return EM_NONE;
  return header.e_machine;
}

/// Why a file that is there was not loaded. Of another machine's the dynamic linker says that there is none.
moert_status_t explainLoading(const std::string &path, const char *reason,
                              std::string &error) {
  unsigned machine = machineOf(path);
  if (machine != EM_NONE && ownMachine != EM_NONE && machine != ownMachine) {
    error = path + ": cannot load: made for " + machineName(machine) +
            ", expected " + machineName(ownMachine) + " of this process";
    return MOERT_INCOMPATIBLE;
  }
  error = path + ": cannot load: " + (reason ? reason : "no reason given");
  return MOERT_IO_ERROR;
}

/// A library of this version can be called by this runtime.
moert_status_t checkVersion(const std::string &path, uint32_t version,
                            std::string &error) {
  if (version >> 16 == MOERT_ABI_VERSION >> 16 && version <= MOERT_ABI_VERSION)
    return MOERT_OK;
  error = path + ": made for ABI " + versionName(version) + ", expected " +
          versionName(MOERT_ABI_VERSION) +
          " of this runtime or an earlier minor";
  return MOERT_INCOMPATIBLE;
}

moert_status_t openLibrary(const char *path, moert_library &library,
                           std::string &error) {
  struct stat status;
  if (stat(path, &status) != 0) {
    error = std::string(path) + ": cannot open: " + std::strerror(errno);
    return errno == ENOENT ? MOERT_NOT_FOUND : MOERT_IO_ERROR;
  }
  bool isDirectory = S_ISDIR(status.st_mode);
  std::string file = path;
  std::string fileManifest;
  if (isDirectory) {
    file += "/library.so";
    if (moert_status_t status =
            readText(std::string(path) + "/manifest.json", fileManifest, error))
      return status;
  } else if (file.find('/') == std::string::npos) {
    // Without a slash dlopen would look in the system's folders.
    file = "./" + file;
  }

  library.handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library.handle)
    return explainLoading(file, dlerror(), error);
  auto version = symbol<uint32_t (*)()>(library.handle, "moec_abi_version");
  auto json = symbol<const char *(*)()>(library.handle, "moec_manifest");
  if (!version || !json) {
    error = file + ": expected a library made by moec, found no symbol " +
            (version ? "moec_manifest" : "moec_abi_version");
    return MOERT_INCOMPATIBLE;
  }
  if (moert_status_t status = checkVersion(file, version(), error))
    return status;
  const char *text = json();
  library.json = text ? text : "";
  if (isDirectory && withoutTrailingSpace(fileManifest) !=
                         withoutTrailingSpace(library.json)) {
    error = std::string(path) +
            ": expected manifest.json to be the manifest inside library.so, "
            "found that they differ";
    return MOERT_INCOMPATIBLE;
  }
  if (moert_status_t status =
          parseManifest(library.json, library.manifest, error)) {
    error = file + ": " + error;
    return status;
  }
  if (library.manifest.abiVersion != version()) {
    error = file + ": its manifest names ABI " +
            versionName(library.manifest.abiVersion) + ", expected " +
            versionName(version()) + " of the library itself";
    return MOERT_INCOMPATIBLE;
  }

  for (const ManifestEntry &manifest : library.manifest.entries) {
    moert_library_entry entry;
    std::string workspace = manifest.symbol + "_workspace";
    entry.manifest = &manifest;
    entry.call = symbol<CallFunction>(library.handle, manifest.symbol.c_str());
    entry.workspace =
        symbol<WorkspaceFunction>(library.handle, workspace.c_str());
    if (!entry.call || !entry.workspace) {
      error = file + ": expected symbol " +
              (entry.call ? workspace : manifest.symbol) + " of entry '" +
              manifest.name + "', found none";
      return MOERT_INCOMPATIBLE;
    }
    library.entries.push_back(entry);
  }
  return MOERT_OK;
}

} // namespace

moert_status_t moert_library_open(const char *path,
                                  const moert_error_sink *error,
                                  moert_library **library) try {
  if (!path || !library)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_library_open: expected a path and a place for the "
                  "library, found null");
  *library = nullptr;
  auto opened = std::make_unique<moert_library>();
  std::string message;
  if (moert_status_t status = openLibrary(path, *opened, message))
    return report(error, status, message);
  *library = opened.release();
  return MOERT_OK;
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_library_close(moert_library *library) {
  delete library;
  return MOERT_OK;
}

moert_status_t moert_library_manifest(const moert_library *library,
                                      const char **json) {
  if (!library || !json)
    return MOERT_INVALID_ARGUMENT;
  *json = library->json.c_str();
  return MOERT_OK;
}

moert_status_t moert_library_device_type(const moert_library *library,
                                         int32_t *type) {
  if (!library || !type)
    return MOERT_INVALID_ARGUMENT;
  *type = library->manifest.device;
  return MOERT_OK;
}

moert_status_t moert_library_entry_count(const moert_library *library,
                                         int32_t *count) {
  if (!library || !count)
    return MOERT_INVALID_ARGUMENT;
  *count = int32_t(library->entries.size());
  return MOERT_OK;
}

moert_status_t moert_library_entry_at(const moert_library *library,
                                      int32_t index,
                                      const moert_library_entry **entry) {
  if (!library || !entry)
    return MOERT_INVALID_ARGUMENT;
  *entry = nullptr;
  if (index < 0 || size_t(index) >= library->entries.size())
    return MOERT_NOT_FOUND;
  *entry = &library->entries[size_t(index)];
  return MOERT_OK;
}

moert_status_t moert_library_find_entry(const moert_library *library,
                                        const char *name,
                                        const moert_error_sink *error,
                                        const moert_library_entry **entry) try {
  if (!library || !name || !entry)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_library_find_entry: expected a library, a name and a "
                  "place for the entry, found null");
  *entry = nullptr;
  std::string names;
  for (const moert_library_entry &candidate : library->entries) {
    if (candidate.manifest->name == name) {
      *entry = &candidate;
      return MOERT_OK;
    }
    names += (names.empty() ? "" : ", ") + candidate.manifest->name;
  }
  return report(error, MOERT_NOT_FOUND,
                std::string("expected an entry '") + name + "', found " +
                    (names.empty() ? "none" : "only " + names));
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_library_entry_name(const moert_library_entry *entry,
                                        const char **name) {
  if (!entry || !name)
    return MOERT_INVALID_ARGUMENT;
  *name = entry->manifest->name.c_str();
  return MOERT_OK;
}

moert_status_t moert_library_argument_count(const moert_library_entry *entry,
                                            int32_t *count) {
  if (!entry || !count)
    return MOERT_INVALID_ARGUMENT;
  *count = int32_t(entry->manifest->arguments.size());
  return MOERT_OK;
}

moert_status_t moert_library_argument(const moert_library_entry *entry,
                                      int32_t index,
                                      const moert_argument **argument) {
  if (!entry || !argument)
    return MOERT_INVALID_ARGUMENT;
  *argument = nullptr;
  if (index < 0 || size_t(index) >= entry->manifest->arguments.size())
    return MOERT_NOT_FOUND;
  *argument = &entry->manifest->arguments[size_t(index)].description;
  return MOERT_OK;
}

moert_status_t moert_library_argument_below(const moert_library_entry *entry,
                                            int32_t index, int64_t *below) {
  if (!entry || !below)
    return MOERT_INVALID_ARGUMENT;
  *below = 0;
  if (index < 0 || size_t(index) >= entry->manifest->arguments.size())
    return MOERT_NOT_FOUND;
  *below = entry->manifest->arguments[size_t(index)].below;
  return MOERT_OK;
}

moert_status_t moert_library_call(const moert_library_entry *entry,
                                  const moert_call *call, DLTensor *const *args,
                                  int32_t count) {
  if (!entry)
    return MOERT_INVALID_ARGUMENT;
  return moert_status_t(entry->call(call, args, count));
}

moert_status_t moert_library_workspace_bytes(const moert_library_entry *entry,
                                             const moert_call *call,
                                             DLTensor *const *args,
                                             int32_t count, uint64_t *bytes) {
  if (!entry)
    return MOERT_INVALID_ARGUMENT;
  return moert_status_t(entry->workspace(call, args, count, bytes));
}
