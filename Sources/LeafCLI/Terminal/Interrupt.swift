import Dispatch
import Glibc
import Leafcutter

/// Ctrl-C, or SIGTERM: the first one asks for a clean stop, the second ends the process at once.
final class Interrupt: Sendable {
    /// What a first signal cancels.
    let cancellation = Cancellation()
    /// Touched in `init` alone.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    init() {
        sources = [SIGINT, SIGTERM].map { number in
            // Else the default action wins.
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
        }
        for source in sources {
            source.setEventHandler { [weak cancellation] in
                guard let cancellation, !cancellation.isCancelled else { _exit(130) }
                cancellation.cancel()
            }
            source.activate()
        }
    }

    var isRequested: Bool { cancellation.isCancelled }
}
