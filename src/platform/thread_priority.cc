#include "platform/thread_priority.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace kalamdb::platform {

void lower_thread_priority() {
  constexpr int kLowest = 19;
  const pid_t thread = gettid();
  // A system that refuses either only shares its processors less well. SCHED_IDLE would be nothing while they are busy.
  const sched_param no_parameters{};
  (void)sched_setscheduler(thread, SCHED_BATCH, &no_parameters);
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(thread), kLowest);
}

}  // namespace kalamdb::platform
