import Dispatch
import Glibc
import Synchronization

/// Ctrl-C, or SIGTERM: the first one asks for a clean stop, the second ends the process at once.
final class Interrupt: Sendable {
    private let requested = Atomic<Bool>(false)
    /// Touched in `init` alone.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    init() {
        sources = [SIGINT, SIGTERM].map { number in
            // Else the default action wins.
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
        }
        for source in sources {
            source.setEventHandler { [weak self] in
                if self?.requested.exchange(true, ordering: .acquiringAndReleasing) != false { _exit(130) }
            }
            source.activate()
        }
    }

    var isRequested: Bool { requested.load(ordering: .acquiring) }
}
