// Threads of background work give way to those that answer requests.
#pragma once

namespace kalamdb::platform {

// While the processors are busy, the calling thread and every thread that it starts from now on get little of them, but
// never nothing: it must not wait forever on a server that is never idle. For good: the operating system lets only
// privileged processes take it back.
void lower_thread_priority();

}  // namespace kalamdb::platform
