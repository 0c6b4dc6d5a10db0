/// What a draft is worth: the chance that it is right against the time that its row and its making take.
///
/// A text with k drafts gets `1 + sum of chances` tokens in `sweep(rows + k) + making(k)` seconds. A further draft pays
/// while its chance is above the tokens that the time it takes would bring otherwise.
struct DraftWorth {
    /// How often drafts were right, by the probability that their maker gave them.
    private var tries = Array(repeating: Self.priorTries, count: Self.buckets)
    private var rights = (0..<Self.buckets).map { (Double($0) + 0.5) / Double(Self.buckets) * Self.priorTries }
    private var sweeps = SweepCosts()
    /// Seconds that making a draft takes, those that were not used among them.
    private var makingSeconds = 0.0
    /// The chance of the first draft of a text.
    private var firstChance = 0.5
    /// Sweeps since there were drafts.
    private var restingSweeps = 0

    private static let buckets = 8
    /// The weight of what is assumed before anything is known.
    private static let priorTries = 2.0
    /// Where drafts do not pay, every so many sweeps have some all the same: texts change.
    private static let trialInterval = 24
    /// The weight of what came last in a mean.
    private static let pace = 0.15

    /// Whether it is worth making drafts for the next sweep.
    mutating func wantsDrafts() -> Bool {
        if pays(firstChance) {
            restingSweeps = 0
            return true
        }
        restingSweeps += 1
        guard restingSweeps >= Self.trialInterval else { return false }
        restingSweeps = 0
        return true
    }

    /// The chance that a draft is right if those before it are.
    func chance(_ draft: Draft) -> Double {
        let bucket = Self.bucket(draft)
        return rights[bucket] / tries[bucket]
    }

    /// Whether a draft pays that is right, with all before it, with this chance.
    func pays(_ chance: Double) -> Bool { chance > (sweeps.secondsPerRow + makingSeconds) * sweeps.tokensPerSecond }

    mutating func note(_ draft: Draft, isRight: Bool) {
        let bucket = Self.bucket(draft)
        tries[bucket] += 1
        if isRight { rights[bucket] += 1 }
        // Old experience fades, because texts change.
        if tries[bucket] > 256 {
            tries[bucket] /= 2
            rights[bucket] /= 2
        }
    }

    mutating func noteDrafting(seconds: Double, drafts: Int) {
        makingSeconds += Self.pace * (seconds / Double(max(1, drafts)) - makingSeconds)
    }

    /// - Parameter isRight: whether a text's first draft was.
    mutating func noteFirst(isRight: Bool) { firstChance += Self.pace * ((isRight ? 1 : 0) - firstChance) }

    mutating func noteSweep(seconds: Double, rows: Int, tokens: Int, isStep: Bool) {
        sweeps.note(seconds: seconds, rows: rows, tokens: tokens, isStep: isStep)
    }

    private static func bucket(_ draft: Draft) -> Int {
        min(buckets - 1, max(0, Int(draft.probability * Float(buckets))))
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
