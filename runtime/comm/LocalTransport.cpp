// Threads of one process as ranks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// A post is what one rank started on one channel. The n-th posts of two ranks
// on a channel belong together: when both are there, the block from one to the
// other may be copied, by either of them, outside of the lock. A post ends when
// all its blocks have come and gone and the link would have brought them.
#include "runtime/comm/LocalTransport.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <mutex>

namespace moec::comm {
namespace {

enum class Block : uint8_t { Waiting, Copying, Done };

struct Post {
  const moert_all_to_all *blocks = nullptr;
  /// How many were started on the channel by this rank, this one included.
  uint64_t number = 0;
  bool isActive = false;
  /// What comes from each rank.
  std::vector<Block> incoming;
  /// Blocks that have not come, and not gone.
  int32_t left = 0;
  /// When the link has brought the last of them.
  Clock::time_point arrival;
};

/// What all ranks share.
struct Group {
  Group(int32_t ranks, const LinkModel &link)
      : ranks(ranks), link(link), members(size_t(ranks)) {
    for (Member &member : members)
      for (Post &post : member.posts)
        post.incoming.resize(size_t(ranks), Block::Done);
  }

  struct Member {
    std::array<Post, channelCount> posts;
    bool hasLeft = false;
    /// Copies under way from or to its buffers.
    int32_t copies = 0;
    /// Until when the ends of its link are taken.
    Clock::time_point sends, receives;
  };

  Post &post(int32_t rank, int32_t channel) {
    return members[size_t(rank)].posts[size_t(channel)];
  }

  /// Whether the post of another rank has come to where this one is.
  bool hasMet(int32_t channel, int32_t rank, int32_t other) {
    return post(other, channel).number >= post(rank, channel).number;
  }
  bool mayCopy(int32_t channel, int32_t from, int32_t to) {
    const Post &receiving = post(to, channel), &sending = post(from, channel);
    return receiving.isActive && sending.isActive &&
           receiving.number == sending.number &&
           receiving.incoming[size_t(from)] == Block::Waiting;
  }

  /// Copies a block with the lock released. The lock is held before and after.
  void copy(int32_t channel, int32_t from, int32_t to,
            std::unique_lock<std::mutex> &lock);
  /// All copies that a rank can make or be served by.
  void copyAll(int32_t channel, int32_t rank,
               std::unique_lock<std::mutex> &lock);
  void carry(int32_t from, int32_t to, int64_t bytes, Post &sending,
             Post &receiving);
  /// A rank that left before what this one waits for was copied, or -1.
  int32_t findLeft(int32_t channel, int32_t rank);

  const int32_t ranks;
  const LinkModel link;
  std::mutex mutex;
  std::condition_variable changed;
  std::string failure;
  std::vector<Member> members;
};

void Group::carry(int32_t from, int32_t to, int64_t bytes, Post &sending,
                  Post &receiving) {
  if (from == to || (!link.bytesPerSecond && link.latency.count() == 0))
    return;
  Member &sender = members[size_t(from)], &receiver = members[size_t(to)];
  Clock::time_point begin =
      std::max({Clock::now(), sender.sends, receiver.receives});
  auto takes = std::chrono::nanoseconds(
      link.bytesPerSecond
          ? int64_t(double(bytes) * 1e9 / double(link.bytesPerSecond))
          : 0);
  sender.sends = receiver.receives = begin + takes;
  sending.arrival = std::max(sending.arrival, begin + takes);
  receiving.arrival = std::max(receiving.arrival, begin + takes + link.latency);
}

void Group::copy(int32_t channel, int32_t from, int32_t to,
                 std::unique_lock<std::mutex> &lock) {
  Post &sending = post(from, channel), &receiving = post(to, channel);
  const moert_all_to_all &source = *sending.blocks, &target = *receiving.blocks;
  int64_t bytes = source.send_bytes[to];
  if (bytes != target.receive_bytes[from]) {
    failure = "rank " + std::to_string(from) + " sends " +
              std::to_string(bytes) + " bytes to rank " + std::to_string(to) +
              ", which expects " + std::to_string(target.receive_bytes[from]);
    changed.notify_all();
    return;
  }
  receiving.incoming[size_t(from)] = Block::Copying;
  ++members[size_t(from)].copies;
  ++members[size_t(to)].copies;
  lock.unlock();
  if (bytes > 0)
    std::memcpy(
        static_cast<char *>(target.receive) + target.receive_offsets[from],
        static_cast<const char *>(source.send) + source.send_offsets[to],
        size_t(bytes));
  lock.lock();
  receiving.incoming[size_t(from)] = Block::Done;
  --members[size_t(from)].copies;
  --members[size_t(to)].copies;
  --sending.left;
  --receiving.left;
  changed.notify_all();
}

void Group::copyAll(int32_t channel, int32_t rank,
                    std::unique_lock<std::mutex> &lock) {
  // What comes first: who sends may wait, this rank does.
  for (int32_t other = 0; other < ranks && failure.empty(); ++other)
    if (mayCopy(channel, other, rank))
      copy(channel, other, rank, lock);
  for (int32_t other = 0; other < ranks && failure.empty(); ++other)
    if (mayCopy(channel, rank, other))
      copy(channel, rank, other, lock);
}

int32_t Group::findLeft(int32_t channel, int32_t rank) {
  const Post &own = post(rank, channel);
  for (int32_t other = 0; other < ranks; ++other) {
    if (!members[size_t(other)].hasLeft)
      continue;
    const Post &peer = post(other, channel);
    if (own.incoming[size_t(other)] == Block::Waiting ||
        (peer.number == own.number &&
         peer.incoming[size_t(rank)] == Block::Waiting))
      return other;
  }
  return -1;
}

class LocalTransport final : public Transport {
public:
  LocalTransport(std::shared_ptr<Group> group, int32_t rank)
      : group(std::move(group)), own(rank) {}

  ~LocalTransport() override {
    cancel();
    std::lock_guard lock(group->mutex);
    group->members[size_t(own)].hasLeft = true;
    group->changed.notify_all();
  }

  int32_t rank() const override { return own; }
  int32_t ranks() const override { return group->ranks; }
  const char *name() const override { return "local"; }

  weights::Status start(int32_t channel,
                        const moert_all_to_all &blocks) override {
    std::lock_guard lock(group->mutex);
    Post &post = group->post(own, channel);
    post.blocks = &blocks;
    ++post.number;
    post.isActive = true;
    std::fill(post.incoming.begin(), post.incoming.end(), Block::Waiting);
    post.left = 2 * group->ranks;
    post.arrival = Clock::now();
    for (int32_t other = 0; other < group->ranks; ++other)
      meet(channel, other);
    group->changed.notify_all();
    return weights::success();
  }

  weights::Result<bool> test(int32_t channel) override {
    std::unique_lock lock(group->mutex);
    group->copyAll(channel, own, lock);
    if (!group->failure.empty())
      return weights::Error{group->failure};
    Post &post = group->post(own, channel);
    if (post.left == 0 && Clock::now() >= post.arrival) {
      post.isActive = false;
      return true;
    }
    int32_t left = post.left ? group->findLeft(channel, own) : -1;
    if (left >= 0)
      return weights::Error{"rank " + std::to_string(left) + " left"};
    return false;
  }

  void await(int32_t channel, Clock::time_point until) override {
    std::unique_lock lock(group->mutex);
    const Post &post = group->post(own, channel);
    if (post.left > 0)
      group->changed.wait_until(lock, until, [&] {
        return !group->failure.empty() || hasWork(channel);
      });
    else
      group->changed.wait_until(lock, std::min(until, post.arrival), [&] {
        return !group->failure.empty() || Clock::now() >= post.arrival;
      });
  }

  int32_t missing(int32_t channel) override {
    std::lock_guard lock(group->mutex);
    for (int32_t other = 0; other < group->ranks; ++other)
      if (!group->hasMet(channel, own, other))
        return other;
    return -1;
  }

  void cancel() override {
    std::unique_lock lock(group->mutex);
    Group::Member &member = group->members[size_t(own)];
    for (Post &post : member.posts)
      post.isActive = false;
    group->changed.wait(lock, [&] { return member.copies == 0; });
  }

  void giveUp(const std::string &reason) override {
    std::lock_guard lock(group->mutex);
    if (group->failure.empty())
      group->failure = "rank " + std::to_string(own) + " gave up: " + reason;
    group->changed.notify_all();
  }

private:
  /// The link begins to carry what two ranks send each other once both are
  /// there.
  void meet(int32_t channel, int32_t other) {
    Post &post = group->post(own, channel), &peer = group->post(other, channel);
    if (!peer.isActive || peer.number != post.number)
      return;
    group->carry(own, other, post.blocks->send_bytes[other], post, peer);
    if (other != own)
      group->carry(other, own, peer.blocks->send_bytes[own], peer, post);
  }

  /// Whether `test` would do or say something that it did not before.
  bool hasWork(int32_t channel) {
    if (group->post(own, channel).left == 0 ||
        group->findLeft(channel, own) >= 0)
      return true;
    for (int32_t other = 0; other < group->ranks; ++other)
      if (group->mayCopy(channel, other, own) ||
          group->mayCopy(channel, own, other))
        return true;
    return false;
  }

  std::shared_ptr<Group> group;
  int32_t own;
};

} // namespace

std::vector<std::unique_ptr<Transport>>
makeLocalTransports(int32_t ranks, const LinkModel &link) {
  auto group = std::make_shared<Group>(ranks, link);
  std::vector<std::unique_ptr<Transport>> transports;
  for (int32_t rank = 0; rank < ranks; ++rank)
    transports.push_back(std::make_unique<LocalTransport>(group, rank));
  return transports;
}

} // namespace moec::comm
