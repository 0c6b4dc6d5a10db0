import Dispatch
import Glibc
import Leafcutter

/// SIGUSR1 halves the weights that stay in memory, and SIGUSR2 doubles them, between the minimum and what the budget
/// gave at the start.
final class WorkingSetSignals: Sendable {
    /// Only `init` touches it.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    /// Ignores the signals until there is a model, because their default action would end the process.
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
                // Doubling zero would stay zero.
                model.pinnedBytes = number == SIGUSR1 ? now / 2 : max(2 * now, most / 16)
            }
            source.activate()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }
}
