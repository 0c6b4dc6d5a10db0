import LeafExecutor
package import LeafSystem
import Synchronization

/// Decides before each sweep how many tokens of each text are drafted, and learns from what became of them.
///
/// It lives on the engine's thread. What it decides changes how long texts take, and never what they become.
package final class Speculation {
    private let source: any DraftSource
    /// Drafts of each text on each sweep, whether they pay or not; nil for as many as pay.
    private let fixedCount: Int?
    private let counters: SpeculationCounters
    private var worth = DraftWorth()
    private var calibration = DraftCalibration()

    package init(_ source: any DraftSource, fixedCount: Int?, counters: SpeculationCounters) {
        self.source = source
        self.fixedCount = fixedCount
        self.counters = counters
    }

    /// Gives texts their drafts.
    ///
    /// - Parameters:
    ///   - rows: that drafts may have on the sweep, those of all texts.
    ///   - room: of the model.
    func propose(
        for texts: [any DraftedText], rows: Int, _ room: DraftRoom, workspace: inout SamplingWorkspace,
        isCancelled: () -> Bool
    ) {
        for text in texts {
            text.drafts.removeAll()
            text.acceptedDrafts = nil
        }
        guard !counters.hasFailed else { return }
        let most = min(fixedCount ?? Self.mostDrafts, rows / texts.count)
        guard most > 0, fixedCount != nil || worth.wantsDrafts() else { return }
        // A fork of a copy has as many pages for branches as its text.
        let branchPages = min(room.branchPages, room.textBranchPages / texts.count)
        let wish = DraftWish(
            count: most, branchPages: branchPages, calibration: calibration, isFixed: fixedCount != nil, worth: worth)
        let began = ContinuousClock.now
        do throws(LeafError) {
            try source.draft(texts, wish, workspace: &workspace, isCancelled: isCancelled)
        } catch {
            for text in texts { text.drafts.removeAll() }
            // A draft that was broken off is none; the next sweep may have one.
            if error.kind != .cancelled { counters.fail(error) }
        }
        for text in texts {
            let pages = Demand.pages(holding: text.trunk + text.draftLimit) - text.trunk / Demand.pageKeys
            text.drafts.arrange(behind: text.trunk, pages: pages + branchPages)
        }
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        counters.add(drafted: texts.reduce(0) { $0 + $1.drafts.count }, seconds: seconds)
        worth.noteDrafting(seconds: seconds, passes: texts.map(\.drafts.depth).max() ?? 0)
    }

    /// Learns from a sweep that is over.
    ///
    /// - Parameters:
    ///   - seconds: that it took.
    ///   - isStep: whether every row was a step of a text or a draft.
    func learn(from texts: [any DraftedText], seconds: Double, rows: Int, isStep: Bool) {
        source.note(texts)
        var tokens = texts.count
        for text in texts {
            guard let accepted = text.acceptedDrafts, !text.drafts.isEmpty else { continue }
            calibration.learn(from: text.drafts, accepted)
            worth.noteFirst(isRight: !accepted.isEmpty)
            counters.add(accepted: accepted.count, of: text.drafts)
            tokens += accepted.count
        }
        counters.add(steps: texts.count, tokens: tokens)
        worth.noteSweep(seconds: seconds, rows: rows, tokens: tokens, isStep: isStep)
    }

    /// The most drafts of a text on a sweep where nobody says how many.
    package static let mostDrafts = 32
}

/// What drafting has come to; any thread may ask.
package final class SpeculationCounters: Sendable {
    /// Trees that were checked.
    package struct Checked: Sendable {
        package fileprivate(set) var trees = 0
        /// The lengths of their longest paths together.
        package fileprivate(set) var levels = 0
        /// Their nodes.
        package fileprivate(set) var drafts = 0
        /// How many of these tokens came true.
        package fileprivate(set) var accepted = 0
    }

    private struct State {
        var drafted = 0
        var accepted = 0
        var steps = 0
        var tokens = 0
        var seconds = 0.0
        var failure: LeafError?
        /// Since somebody took them.
        var checked = Checked()
    }
    private let state = Mutex(State())

    private let onFailure: @Sendable (LeafError) -> Void

    /// - Parameter onFailure: called once, when there can be no drafts any more.
    package init(onFailure: @escaping @Sendable (LeafError) -> Void = { _ in }) { self.onFailure = onFailure }

    package var drafted: Int { state.withLock(\.drafted) }
    package var accepted: Int { state.withLock(\.accepted) }
    /// Sweeps of single texts that might have drafts, and what these texts got on them.
    package var steps: Int { state.withLock(\.steps) }
    package var tokens: Int { state.withLock(\.tokens) }
    /// Seconds that drafting took.
    package var seconds: Double { state.withLock(\.seconds) }
    /// Why there are no drafts any more; nil while there may be.
    package var failure: LeafError? { state.withLock(\.failure) }

    var hasFailed: Bool { failure != nil }

    func add(drafted: Int, seconds: Double) {
        state.withLock {
            $0.drafted += drafted
            $0.seconds += seconds
        }
    }

    func add(accepted: Int, of tree: DraftTree) {
        state.withLock { $0.accepted += accepted }
        add(Checked(trees: 1, levels: tree.depth, drafts: tree.count, accepted: accepted))
    }

    func add(steps: Int, tokens: Int) {
        state.withLock {
            $0.steps += steps
            $0.tokens += tokens
        }
    }

    /// Takes the trees that were checked since they were taken last.
    package func takeChecked() -> Checked {
        state.withLock { state in
            defer { state.checked = Checked() }
            return state.checked
        }
    }

    /// Puts back what was taken.
    package func add(_ checked: Checked) {
        state.withLock {
            $0.checked.trees += checked.trees
            $0.checked.levels += checked.levels
            $0.checked.drafts += checked.drafts
            $0.checked.accepted += checked.accepted
        }
    }

    func fail(_ error: LeafError) {
        state.withLock { $0.failure = error }
        onFailure(error)
    }
}
