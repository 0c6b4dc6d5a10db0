public import LeafExecutor
public import LeafSystem

extension Demand {
    /// Sequences that are tried at most.
    private static let mostSequences = 1 << 20

    /// What a model has to be opened for to meet all of these demands at the same time.
    ///
    /// - Parameter startTogether: true to fit all prompts on one sweep; false for one prompt per sweep, beside the
    ///   decoding steps of the other texts.
    public init(together demands: [Demand], startTogether: Bool = true) {
        self = demands.reduce(.nothing, +)
        firstRows =
            startTogether
            ? demands.reduce(0) { $0 +| $1.rows }
            : demands.map { stepRows -| $0.stepRows +| $0.rows }.max() ?? 1
        // A model is opened for one position at least.
        self = self | Demand(context: 1, logitRows: 0, heapBytes: 0)
    }

    /// Finds the largest capacity inside the budget for these demands; each of them alone always fits.
    ///
    /// Takes the demands that need most, up to `sequences` sequences, and fewer if the plan does not fit. Their prompts
    /// start together if that fits too, otherwise one per sweep.
    ///
    /// - Throws: `.budget` with the smallest budget that works for one demand at a time.
    public static func fitting(
        _ demands: [Demand], sequences: Int, _ file: ModelFile, _ options: ModelOptions
    ) throws(LeafError) -> Demand {
        let sequences = min(max(1, sequences), mostSequences)
        let largestFirst = demands.sorted { $0.pages > $1.pages }
        func capacity(_ sequences: Int, startTogether: Bool) -> Demand {
            var taken = 0
            let chosen = largestFirst.prefix { demand in
                defer { taken +|= demand.sequences }
                return taken == 0 || taken +| demand.sequences <= sequences
            }
            return demands.reduce(Demand(together: Array(chosen), startTogether: startTogether)) {
                $0 | Demand(together: [$1])
            }
        }
        func plan(_ capacity: Demand) throws(LeafError) {
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

/// Finds the demands that decide the capacity, so that a caller need not keep all of them.
public struct DemandSurvey: Sendable {
    private let sequences: Int
    /// The demands with the most pages, no more of them than can run together.
    private var largest: [Demand] = []
    /// For each other number, the demand with the largest.
    private var extremes: [Demand?] = Array(repeating: nil, count: Self.measures.count)
    /// The number of demands that were added.
    public private(set) var count = 0
    /// Cached positions of the longest text.
    public private(set) var longest = 0
    /// The sum of the rows of all first sweeps.
    public private(set) var firstRows = 0

    private static let measures: [@Sendable (Demand) -> Int] = [
        { $0.firstRows }, { $0.stepRows }, { $0.logitRows }, { $0.sequences }, { $0.longest }, { $0.heapBytes },
    ]

    /// - Parameter sequences: the most sequences that run together.
    public init(sequences: Int) { self.sequences = sequences }

    public mutating func add(_ demand: Demand) {
        count += 1
        longest = max(longest, demand.longest)
        firstRows +|= demand.firstRows
        for (index, measure) in Self.measures.enumerated()
        where measure(demand) > extremes[index].map(measure) ?? 0 { extremes[index] = demand }
        let index = largest.firstIndex { $0.pages < demand.pages } ?? largest.count
        guard index < sequences else { return }
        largest.insert(demand, at: index)
        if largest.count > sequences { largest.removeLast() }
    }

    /// The demands to pass to `Demand.fitting`.
    public var demands: [Demand] {
        var demands = largest
        for demand in extremes { if let demand, !demands.contains(demand) { demands.append(demand) } }
        return demands
    }
}
