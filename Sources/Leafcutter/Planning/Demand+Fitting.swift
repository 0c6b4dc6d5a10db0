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
        var least = Demand(context: 1, logitRows: 0, heapBytes: 0)
        least.takesDrafts = false
        self = self | least
    }

    /// Finds the largest capacity inside the budget for these demands; each of them alone always fits.
    ///
    /// Takes the demands that need most, up to `sequences` sequences, and fewer if the plan does not fit. Their prompts
    /// start together if that fits too, otherwise one per sweep.
    ///
    /// - Parameter bytesEach: bytes that each of these sequences takes beside the model.
    /// - Throws: `.budget` with the smallest budget that works for one demand at a time.
    public static func fitting(
        _ demands: [Demand], sequences: Int, bytesEach: Int = 0, _ file: ModelFile, _ options: ModelOptions
    ) throws(LeafError) -> Demand {
        let sequences = min(max(1, sequences), mostSequences)
        let largestFirst = demands.sorted { $0.pages > $1.pages }
        func capacity(_ sequences: Int, startTogether: Bool) -> Demand {
            let chosen = chosen(of: largestFirst, sequences)
            return demands.reduce(Demand(together: chosen, startTogether: startTogether)) {
                $0 | Demand(together: [$1])
            }
        }
        func opened(for capacity: Demand) -> ModelOptions {
            var options = options
            options.capacity = capacity
            options.callerBytes +|= bytesEach *| min(capacity.sequences, sequences)
            return options
        }
        _ = try Model.plan(file, opened(for: capacity(1, startTogether: false)))
        var fitting = 1
        var tooMany = max(1, min(sequences, demands.reduce(.nothing, +).sequences)) + 1
        while tooMany - fitting > 1 {
            let middle = fitting + (tooMany - fitting) / 2
            if try Model.fits(file, opened(for: capacity(middle, startTogether: false))) {
                fitting = middle
            } else {
                tooMany = middle
            }
        }
        let together = capacity(fitting, startTogether: true)
        return try Model.fits(file, opened(for: together)) ? together : capacity(fitting, startTogether: false)
    }

    /// The first demands that have no more sequences together, and one in any case.
    private static func chosen(of demands: [Demand], _ sequences: Int) -> [Demand] {
        var taken = 0
        return Array(
            demands.prefix { demand in
                defer { taken +|= demand.sequences }
                return taken == 0 || taken +| demand.sequences <= sequences
            })
    }

    /// The sequences of the largest demands that would run together if memory had no end.
    package static func sequences(of demands: [Demand], together sequences: Int) -> Int {
        chosen(of: demands.sorted { $0.pages > $1.pages }, max(1, sequences)).reduce(0) { $0 +| $1.sequences }
    }

    /// The same texts with another length of the longest: everything that follows from lengths, in proportion.
    ///
    /// Texts that share no pages keep the pages that they need, to the page.
    func stretched(to longest: Int) -> Demand {
        guard self.longest > 0 else { return self }
        func scaled(_ count: Int, atLeast least: Int = 1) -> Int {
            let (product, overflows) = count.multipliedReportingOverflow(by: longest)
            return overflows ? .max : max(least, product.units(of: self.longest))
        }
        var demand = self
        demand.longest = longest
        // Each sequence may leave a part of its last page unused.
        let spare = max(0, sequences - 1)
        let whole = Self.pages(holding: self.longest *| sequences)
        if pages -| spare >= whole {
            demand.pages = (pages - whole +| Self.pages(holding: longest *| sequences))
        } else {
            demand.pages = (scaled(pages -| spare) +| spare)
        }
        demand.firstRows = scaled(firstRows, atLeast: min(firstRows, sequences))
        // One row of each text in a step is one however long the texts are.
        if stepRows > sequences { demand.stepRows = scaled(stepRows, atLeast: sequences) }
        demand.heapBytes = scaled(heapBytes, atLeast: 0)
        return demand
    }

    /// What a model is opened for, in words: `512 tokens`, `8 sequences of 512 tokens`.
    var contents: String {
        let tokens = longest.of("token")
        return sequences > 1 ? "\(sequences.of("sequence")) of \(tokens)" : tokens
    }
}

extension Model {
    /// Whether a plan within the budget exists.
    static func fits(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) -> Bool {
        do throws(LeafError) {
            let settings = try Settings(file, options)
            return try settings.minimum().map { $0 <= settings.budget } ?? false
        } catch {
            guard error.kind == .budget else { throw error }
            return false
        }
    }

    /// The longest context that fits into the budget, everything else of the capacity in proportion; nil if not even
    /// one token does.
    ///
    /// - Throws: `.usage` and `.budget` for a capacity that no model can be opened for.
    public static func longestContext(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) -> Int? {
        try Settings(file, options).longestContext()
    }
}

extension ModelOptions {
    /// Makes room for as many of these demands as fit, up to `sequences` sequences, and for what the caller holds for
    /// each of those.
    ///
    /// - Parameter bytesEach: bytes that each of them takes beside the model.
    /// - Returns: how many sequences the caller has to hold something for.
    /// - Throws: `.budget` with the smallest budget that works for one demand at a time.
    @discardableResult
    package mutating func makeRoom(
        for demands: [Demand], sequences: Int, bytesEach: Int = 0, in file: ModelFile
    ) throws(LeafError) -> Int {
        let before = self
        capacity = try Demand.fitting(demands, sequences: sequences, bytesEach: bytesEach, file, self)
        let held = min(capacity.sequences, sequences)
        callerBytes +|= bytesEach *| held
        resized = { budget throws(LeafError) in
            var options = before
            options.memory = .bytes(budget)
            try options.makeRoom(for: demands, sequences: sequences, bytesEach: bytesEach, in: file)
            return options
        }
        return held
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
        { $0.takesDrafts ? 1 : 0 },
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
