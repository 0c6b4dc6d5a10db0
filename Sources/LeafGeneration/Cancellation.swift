import Synchronization

/// A request to stop work: made once, from any thread, at any time, and never taken back.
///
///     let cancellation = Cancellation()
///     onInterrupt { cancellation.cancel() }
///     try model.generate(prompt, cancellation: cancellation)
public final class Cancellation: Sendable {
    private struct Watchers {
        var next = 0
        var actions: [Int: @Sendable () -> Void] = [:]
    }

    private let flag = Atomic<Bool>(false)
    private let watchers = Mutex(Watchers())
    private let parent: Cancellation?
    /// This one's number among its parent's watchers.
    private let registration = Mutex<Int?>(nil)

    /// - Parameter parent: when it is cancelled, so is this one.
    public init(parent: Cancellation? = nil) {
        self.parent = parent
        guard let parent else { return }
        let number = parent.watch { [weak self] in self?.cancel() }
        registration.withLock { $0 = number }
    }

    deinit {
        if let number = registration.withLock({ $0 }) { parent?.unwatch(number) }
    }

    public var isCancelled: Bool { flag.load(ordering: .acquiring) }

    /// The first call counts; later ones do nothing.
    public func cancel() {
        guard !flag.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let actions = watchers.withLock { watchers in
            defer { watchers.actions = [:] }
            return watchers.actions
        }
        for (_, action) in actions { action() }
    }

    /// Has something done when this is cancelled, on the thread that cancels; at once if it was cancelled before.
    ///
    /// - Returns: what `unwatch` takes.
    package func watch(_ action: @escaping @Sendable () -> Void) -> Int {
        let number: Int? = watchers.withLock { watchers in
            guard !isCancelled else { return nil }
            watchers.next += 1
            watchers.actions[watchers.next] = action
            return watchers.next
        }
        if number == nil { action() }
        return number ?? 0
    }

    package func unwatch(_ number: Int) {
        watchers.withLock { _ = $0.actions.removeValue(forKey: number) }
    }
}
