import Dispatch
import Glibc
import Leafcutter

/// SIGUSR1 halves what stays of the model in memory, SIGUSR2 doubles it, between the least that works and what the budget
/// gave at the start.
final class WorkingSetSignals: Sendable {
    /// Touched in `init` alone.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    /// Until there is a model the signals mean nothing; their default action would end the process.
    static func ignore() {
        signal(SIGUSR1, SIG_IGN)
        signal(SIGUSR2, SIG_IGN)
    }

    init(_ model: Model) {
        let most = model.pinnedBytes
        // One after the other: each reads what the last one wrote.
        let queue = DispatchQueue(label: "leafcutter.workingset", qos: .userInitiated)
        sources = [SIGUSR1, SIGUSR2].map { number in
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { [weak model] in
                guard let model else { return }
                let now = model.pinnedBytes
                // Doubling nothing would stay nothing.
                model.pinnedBytes = number == SIGUSR1 ? now / 2 : max(2 * now, most / 16)
            }
            source.activate()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }
}
