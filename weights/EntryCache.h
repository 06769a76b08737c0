// The results of the entries asked for last, each computed by one thread.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_ENTRYCACHE_H
#define MOEC_WEIGHTS_ENTRYCACHE_H

#include "weights/Result.h"

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

namespace moec::weights {

/// Keeps `kept` results, failures included. Threads may share one: those that
/// ask for an entry under way wait for it, others do not. A result lives on
/// while somebody holds it.
template <typename T> class EntryCache {
public:
  explicit EntryCache(int64_t kept) : kept(std::max<int64_t>(kept, 1)) {}

  template <typename Compute>
  std::shared_ptr<const Result<T>> get(int64_t entry, Compute compute) {
    std::shared_ptr<Slot> slot = slotOf(entry);
    std::call_once(slot->once, [&] { slot->result.emplace(compute()); });
    return {slot, &*slot->result};
  }

private:
  struct Slot {
    int64_t entry;
    std::once_flag once;
    std::optional<Result<T>> result;
  };

  std::shared_ptr<Slot> slotOf(int64_t entry) {
    std::lock_guard lock(mutex);
    auto known = std::find_if(slots.begin(), slots.end(),
                              [&](const std::shared_ptr<Slot> &slot) {
                                return slot->entry == entry;
                              });
    if (known != slots.end()) {
      slots.splice(slots.begin(), slots, known);
      return slots.front();
    }
    if (int64_t(slots.size()) == kept)
      slots.pop_back();
    slots.push_front(std::make_shared<Slot>());
    slots.front()->entry = entry;
    return slots.front();
  }

  int64_t kept;
  std::mutex mutex;
  /// The one asked for last first.
  std::list<std::shared_ptr<Slot>> slots;
};

} // namespace moec::weights

#endif // MOEC_WEIGHTS_ENTRYCACHE_H
