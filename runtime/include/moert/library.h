/* Opening an artifact and calling its entries.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * An artifact is described in docs/artifact.md. Opening one runs code from it: open what you trust. Every function
 * returns a moert_status_t; a null handle or out-parameter is MOERT_INVALID_ARGUMENT. After `moert_library_open` an open
 * library is never changed: any number of threads may use it until it is closed. */
#ifndef MOERT_LIBRARY_H
#define MOERT_LIBRARY_H

#include "moert/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef MOERT_API
#if defined(__GNUC__) || defined(__clang__)
#define MOERT_API __attribute__((visibility("default")))
#else
#define MOERT_API
#endif
#endif

/** An open artifact. */
typedef struct moert_library moert_library;
/** One entry of an open artifact; lives as long as the library. */
typedef struct moert_library_entry moert_library_entry;

/** The ABI version this runtime was made for, major << 16 | minor. */
MOERT_API moert_status_t moert_runtime_abi_version(uint32_t *version);

/** "MOERT_NOT_FOUND", or "unknown status" for a number that is none. Never null; the text is constant. */
MOERT_API moert_status_t moert_status_name(int32_t status, const char **name);

/** Opens an artifact: its directory, or its library alone (then the manifest inside the library is believed). Checks
 * the versions, that manifest.json and the library say the same, and that every entry is there. `error` may be null. */
MOERT_API moert_status_t moert_library_open(const char *path, const moert_error_sink *error, moert_library **library);

/** Closes the library; its entries, names and manifest are gone, and what it loaded onto devices. Null is allowed. No call may
 * be in progress. */
MOERT_API moert_status_t moert_library_close(moert_library *library);

/** The manifest's JSON text, owned by the library. */
MOERT_API moert_status_t moert_library_manifest(const moert_library *library, const char **json);

/** Where the entries' tensors and workspace are: a DLDeviceType, kDLCPU or kDLCUDA. */
MOERT_API moert_status_t moert_library_device_type(const moert_library *library, int32_t *type);

/** How many entries there are. */
MOERT_API moert_status_t moert_library_entry_count(const moert_library *library, int32_t *count);

/** Entry number `index`, in the manifest's order; MOERT_NOT_FOUND beyond the last. */
MOERT_API moert_status_t moert_library_entry_at(const moert_library *library, int32_t index,
                                                const moert_library_entry **entry);

/** The entry of that name; MOERT_NOT_FOUND, with the names there are in `error`, when there is none. */
MOERT_API moert_status_t moert_library_find_entry(const moert_library *library, const char *name,
                                                  const moert_error_sink *error, const moert_library_entry **entry);

/** The entry's name, owned by the library. */
MOERT_API moert_status_t moert_library_entry_name(const moert_library_entry *entry, const char **name);

/** How many arguments there are: inputs and bindings, then outputs. A call passes all but the bindings. */
MOERT_API moert_status_t moert_library_argument_count(const moert_library_entry *entry, int32_t *count);

/** Argument `index`: name, type, rank, shape with MOERT_DYNAMIC and classes, and whether it is an output. Owned by the
 * library; MOERT_NOT_FOUND beyond the last. */
MOERT_API moert_status_t moert_library_argument(const moert_library_entry *entry, int32_t index,
                                                const moert_argument **argument);

/** Of ids and tables: each value is below `*below`, and at least 0, or -1 for an id that is none. 0 for other arguments. */
MOERT_API moert_status_t moert_library_argument_below(const moert_library_entry *entry, int32_t index, int64_t *below);

/** Runs the entry; `call->error` receives the message when it is refused. Blocks until outputs are written; on a device until
 * all is in the call's stream (docs/cuda-runtime.md). */
MOERT_API moert_status_t moert_library_call(const moert_library_entry *entry, const moert_call *call,
                                            DLTensor *const *args, int32_t count);

/** Bytes of workspace a call with these shapes needs; data pointers are not looked at. */
MOERT_API moert_status_t moert_library_workspace_bytes(const moert_library_entry *entry, const moert_call *call,
                                                       DLTensor *const *args, int32_t count, uint64_t *bytes);

#ifdef __cplusplus
}
#endif
#endif /* MOERT_LIBRARY_H */
