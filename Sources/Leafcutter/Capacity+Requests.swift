public import LeafFormat
public import LeafGeneration

extension ModelOptions.Capacity {
    /// Sequences that are tried at most.
    private static let mostSequences = 1 << 20

    /// Room for all of these at the same time.
    ///
    /// - Parameter startTogether: their prompts on one sweep; else one prompt a sweep, beside the steps of the others.
    public init(for demands: [Demand], startTogether: Bool = true) {
        let all = demands.reduce(.nothing, +)
        let rows =
            startTogether
            ? demands.reduce(0) { $0 +| $1.rows }
            : demands.map { all.stepRows -| $0.stepRows +| $0.rows }.max() ?? 1
        self.init(
            // Every sequence but one has a page beside those of `context`.
            context: max(1, all.pages -| (all.sequences -| 1)) *| Demand.pageKeys, longest: all.positions,
            logitRows: all.logitRows, sequences: max(1, all.sequences))
        self.rows = max(1, rows)
    }

    /// Room for as many of these at the same time as the budget allows, and for each of them alone.
    ///
    /// The rule: up to `sequences` sequences of the demands that need most; fewer if the plan does not fit. Prompts start
    /// together if that fits too, else one a sweep.
    ///
    /// - Throws: `.budget` naming the smallest budget that works for one at a time.
    public static func fitting(
        _ demands: [Demand], sequences: Int, _ file: ModelFile, _ options: ModelOptions
    ) throws(LeafError) -> Self {
        let sequences = min(max(1, sequences), mostSequences)
        let largestFirst = demands.sorted { $0.pages > $1.pages }
        func capacity(_ sequences: Int, startTogether: Bool) -> Self {
            var taken = 0
            let chosen = largestFirst.prefix { demand in
                defer { taken +|= demand.sequences }
                return taken == 0 || taken +| demand.sequences <= sequences
            }
            var capacity = Self(for: Array(chosen), startTogether: startTogether)
            for demand in demands {
                let alone = Self(for: [demand])
                capacity.context = max(capacity.context, alone.context)
                capacity.longest = max(capacity.longest, alone.longest)
                capacity.rows = max(capacity.rows, alone.rows)
                capacity.logitRows = max(capacity.logitRows, alone.logitRows)
                capacity.sequences = max(capacity.sequences, alone.sequences)
            }
            return capacity
        }
        func plan(_ capacity: Self) throws(LeafError) {
            var options = options
            options.capacity = capacity
            _ = try Model.plan(file, options)
        }
        try plan(capacity(1, startTogether: false))
        var fitting = 1
        var tooMany = max(1, min(sequences, demands.reduce(.nothing, +).sequences)) + 1
        while tooMany - fitting > 1 {
            let middle = fitting + (tooMany - fitting) / 2
            do throws(LeafError) {
                try plan(capacity(middle, startTogether: false))
                fitting = middle
            } catch {
                guard error.kind == .budget else { throw error }
                tooMany = middle
            }
        }
        let together = capacity(fitting, startTogether: true)
        do throws(LeafError) {
            try plan(together)
            return together
        } catch {
            return capacity(fitting, startTogether: false)
        }
    }
}

/// Those of many demands that decide what a model must have room for, so that the others need not be kept.
public struct DemandSurvey: Sendable {
    private let sequences: Int
    /// Those of most pages, no more than can run together.
    private var largest: [Demand] = []
    /// The one that needs most of each other thing.
    private var extremes: [Demand?] = Array(repeating: nil, count: Self.measures.count)
    /// Of all that were added.
    public private(set) var count = 0
    /// Cached positions of the longest.
    public private(set) var positions = 0
    /// Rows of all first sweeps.
    public private(set) var firstRows = 0

    private static let measures: [@Sendable (Demand) -> Int] = [
        { $0.firstRows }, { $0.stepRows }, { $0.logitRows }, { $0.sequences }, { $0.positions },
    ]

    /// - Parameter sequences: how many run together at most.
    public init(sequences: Int) { self.sequences = sequences }

    public mutating func add(_ demand: Demand) {
        count += 1
        positions = max(positions, demand.positions)
        firstRows +|= demand.firstRows
        for (place, measure) in Self.measures.enumerated()
        where measure(demand) > extremes[place].map(measure) ?? 0 { extremes[place] = demand }
        let place = largest.firstIndex { $0.pages < demand.pages } ?? largest.count
        guard place < sequences else { return }
        largest.insert(demand, at: place)
        if largest.count > sequences { largest.removeLast() }
    }

    /// For `ModelOptions.Capacity.fitting`.
    public var demands: [Demand] {
        var demands = largest
        for demand in extremes { if let demand, !demands.contains(demand) { demands.append(demand) } }
        return demands
    }
}
