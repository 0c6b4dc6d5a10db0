import Glibc
import LeafSystem
import Leafcutter

/// SIGUSR1 halves the weights that stay in memory, and SIGUSR2 doubles them, between the minimum and what the budget
/// gave at the start.
enum WorkingSetSignals {
    private static let numbers = [SIGUSR1, SIGUSR2]

    /// Keeps the signals from doing anything until there is a model: their default action would end the process.
    /// Threads that are started later do not take them either.
    static func hold() {
        var set = numbers.signalSet
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// From now on the signals are about this model, as long as it is there; what came before is forgotten.
    ///
    /// - Parameter notes: where a signal is acknowledged; nil to keep still.
    /// - Throws: `.io` when the system starts no more threads.
    static func apply(to model: Model, telling notes: Notes?) throws(LeafError) {
        let most = model.pinnedBytes
        var (set, now) = (numbers.signalSet, timespec())
        while sigtimedwait(&set, nil, &now) > 0 {}
        // One after the other: each reads what the last one wrote.
        try ThreadGroup().start { [weak model] in
            var set = numbers.signalSet
            var number: Int32 = 0
            while sigwait(&set, &number) == 0 {
                guard let model else { return }
                let before = model.pinnedBytes
                // Doubling zero would stay zero.
                model.pinnedBytes = number == SIGUSR1 ? before / 2 : max(2 * before, most / 16)
                notes?.write(acknowledgement(of: number, before: before, now: model.pinnedBytes))
            }
        }
    }
}

extension WorkingSetSignals {
    /// `SIGUSR1: 1.00 GiB of the weights are to stay in memory, 2.00 GiB before`
    private static func acknowledgement(of number: Int32, before: Int, now: Int) -> String {
        "\(number == SIGUSR1 ? "SIGUSR1" : "SIGUSR2"): \(ByteCount(bytes: now)) of the weights are to stay in memory, "
            + (now == before ? "as before" : "\(ByteCount(bytes: before)) before")
    }
}

extension [Int32] {
    /// For the calls that take several signals.
    var signalSet: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in self { sigaddset(&set, number) }
        return set
    }
}
