import Glibc
import LeafSystem
import Synchronization

extension SystemCalls {
    /// The same calls on a system that starts so many threads and no more, as under a limit on processes.
    package func starting(atMost most: Int) -> SystemCalls {
        let started = Count()
        var system = self
        system.startThread = { [startThread] body in
            started.value.add(1, ordering: .relaxed).newValue > most ? -EAGAIN : startThread(body)
        }
        return system
    }

    private final class Count: Sendable {
        let value = Atomic<Int>(0)
    }
}
