/// What a draft is worth: the chance that it is right against the time that its row and its making take.
///
/// A text with k drafts gets `1 + sum of probabilities` tokens in `sweep(rows + k) + passes * making` seconds. One more
/// draft pays while its probability is above the tokens that the time it takes would bring otherwise.
struct DraftWorth {
    private var sweeps = SweepCosts()
    /// Seconds that a pass of whatever drafts takes.
    private var passSeconds = 0.0
    /// The chance of the first draft of a text.
    private var firstChance = 0.5
    /// Sweeps since there were drafts.
    private var restingSweeps = 0

    /// Where drafts do not pay, every so many sweeps have some all the same: texts change.
    private static let trialInterval = 24
    /// The weight of what came last in a mean.
    private static let pace = 0.15

    /// Whether it is worth making drafts for the next sweep.
    mutating func wantsDrafts() -> Bool {
        if firstChance > (sweeps.secondsPerRow + passSeconds) * sweeps.tokensPerSecond {
            restingSweeps = 0
            return true
        }
        restingSweeps += 1
        guard restingSweeps >= Self.trialInterval else { return false }
        restingSweeps = 0
        return true
    }

    /// Whether a draft is worth its row that is right, with all before it, with this probability.
    func pays(row probability: Double) -> Bool { probability > sweeps.secondsPerRow * sweeps.tokensPerSecond }

    /// Whether another pass is worth its time, if the text comes to what it continues with this probability.
    func pays(pass probability: Double) -> Bool {
        probability > (sweeps.secondsPerRow + passSeconds) * sweeps.tokensPerSecond
    }

    mutating func noteDrafting(seconds: Double, passes: Int) {
        passSeconds += Self.pace * (seconds / Double(max(1, passes)) - passSeconds)
    }

    /// - Parameter isRight: whether one of a text's first drafts was.
    mutating func noteFirst(isRight: Bool) { firstChance += Self.pace * ((isRight ? 1 : 0) - firstChance) }

    mutating func noteSweep(seconds: Double, rows: Int, tokens: Int, isStep: Bool) {
        sweeps.note(seconds: seconds, rows: rows, tokens: tokens, isStep: isStep)
    }
}

/// What sweeps cost, by their rows: a line through the last ones.
struct SweepCosts {
    private var weight = 0.0
    private var rows = 0.0
    private var seconds = 0.0
    private var rowSquares = 0.0
    private var products = 0.0
    private var tokens = 0.0
    /// Of a sweep with a prompt, which has many rows: the most that a row can cost.
    private var mostPerRow: Double?
    private var promptSeconds = 0.0

    /// How much of the past counts after each sweep.
    private static let memory = 0.95

    /// Before there was a sweep without a prompt, as if that had been one: it took longer, so drafts look better.
    var tokensPerSecond: Double { seconds > 0 ? tokens / seconds : promptSeconds > 0 ? 1 / promptSeconds : 0 }

    /// What one more row adds; 0 while sweeps wait for the disk.
    var secondsPerRow: Double {
        guard weight > 0 else { return mostPerRow ?? 0 }
        let variance = rowSquares / weight - (rows / weight) * (rows / weight)
        // Sweeps with nearly the same number of rows say nothing of what a row costs.
        guard variance > 0.25 else { return mostPerRow ?? 0 }
        let slope = (products / weight - rows / weight * seconds / weight) / variance
        return min(max(0, slope), mostPerRow ?? .infinity)
    }

    mutating func note(seconds: Double, rows: Int, tokens: Int, isStep: Bool) {
        guard isStep else {
            let perRow = seconds / Double(max(1, rows))
            mostPerRow = min(mostPerRow ?? .infinity, perRow)
            promptSeconds = seconds
            return
        }
        weight = weight * Self.memory + 1
        self.rows = self.rows * Self.memory + Double(rows)
        self.seconds = self.seconds * Self.memory + seconds
        rowSquares = rowSquares * Self.memory + Double(rows * rows)
        products = products * Self.memory + Double(rows) * seconds
        self.tokens = self.tokens * Self.memory + Double(tokens)
    }
}
