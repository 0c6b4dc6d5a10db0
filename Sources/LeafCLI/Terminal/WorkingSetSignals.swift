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
    /// - Throws: `.io` when the system starts no more threads.
    static func apply(to model: Model) throws(LeafError) {
        let most = model.pinnedBytes
        var (set, now) = (numbers.signalSet, timespec())
        while sigtimedwait(&set, nil, &now) > 0 {}
        // One after the other: each reads what the last one wrote.
        try ThreadGroup().start { [weak model] in
            var set = numbers.signalSet
            var number: Int32 = 0
            while sigwait(&set, &number) == 0 {
                guard let model else { return }
                let now = model.pinnedBytes
                // Doubling zero would stay zero.
                model.pinnedBytes = number == SIGUSR1 ? now / 2 : max(2 * now, most / 16)
            }
        }
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
