import Dispatch
import Glibc
import Synchronization

/// Ctrl-C: the first one asks for a clean stop, the second ends the process at once.
final class Interrupt: Sendable {
    private let requested = Atomic<Bool>(false)
    /// Touched in `init` alone.
    private nonisolated(unsafe) let source: any DispatchSourceSignal

    init() {
        // Else the default action wins.
        signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global(qos: .userInteractive))
        source.setEventHandler { [weak self] in
            if self?.requested.exchange(true, ordering: .acquiringAndReleasing) != false { _exit(130) }
        }
        source.activate()
    }

    var isRequested: Bool { requested.load(ordering: .acquiring) }
}
