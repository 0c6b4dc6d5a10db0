public import LeafStream
public import LeafSystem

/// How fast a model is with each budget on a measured machine, and how much memory a wanted speed takes.
public struct Outlook: Sendable {
    /// What one budget gives.
    public struct Forecast: Sendable, Equatable {
        public let plan: MemoryPlan
        /// Without drafts.
        public let prediction: Prediction
        /// With them; nil where none were asked for.
        public let speculation: SpeculationForecast?
        /// What the budget gives if no memory is kept for drafts; nil where none were asked for.
        public let off: Prediction?

        /// With drafts, where some were asked for.
        public var secondsPerToken: Double { speculation?.secondsPerToken ?? prediction.secondsPerToken }
    }

    /// With the smallest budget that works.
    public let smallest: Forecast
    /// With everything in memory: more memory makes nothing faster.
    public let fastest: Forecast
    private let file: ModelFile
    private let options: ModelOptions
    private let promptRows: Int
    private let rates: MachineRates

    /// Two neighbours of the table differ by no more than this, as far as its steps allow.
    private static let coarsest = 1.3
    /// The table's budgets between two powers of two are these parts of the smaller one.
    private static let steps = 8

    /// - Parameters:
    ///   - options: all but their budget is used.
    ///   - promptRows: the rows of the prompt, soft prompt included.
    /// - Throws: `.usage` and `.budget` for a capacity that no model can be opened for.
    public init(
        _ file: ModelFile, _ options: ModelOptions, promptRows: Int, _ rates: MachineRates
    ) throws(LeafError) {
        self.file = file
        self.options = options
        self.promptRows = promptRows
        self.rates = rates
        func forecast(_ budget: Int) throws(LeafError) -> Forecast {
            try Self.forecast(budget, file, options, promptRows, rates)
        }
        let unlimited = try forecast(.max).plan
        // Drafts ask for no larger budget.
        var plain = options
        (plain.drafts, plain.memory) = (.none, .bytes(.max))
        smallest = try forecast(Model.plan(file, plain).minimum)
        fastest = try forecast(max(unlimited.minimum, unlimited.total))
    }

    /// Seconds a token that so many bytes more than a forecast's save, or as many as are of use.
    public func secondsSaved(by more: Int, beyond forecast: Forecast) throws(LeafError) -> Double {
        let budget = min(forecast.plan.budget +| more, max(forecast.plan.budget, fastest.plan.budget))
        return max(0, forecast.secondsPerToken - (try self.forecast(budget: budget)).secondsPerToken)
    }

    /// - Throws: `.budget` with the smallest budget that works.
    public func forecast(budget: Int) throws(LeafError) -> Forecast {
        try Self.forecast(budget, file, options, promptRows, rates)
    }

    package static func forecast(
        _ budget: Int, _ file: ModelFile, _ options: ModelOptions, _ promptRows: Int, _ rates: MachineRates
    ) throws(LeafError) -> Forecast {
        var options = options
        (options.memory, options.rates) = (.bytes(budget), rates)
        let settings = try Settings(file, options)
        let plan = try settings.plan()
        let batch = options.capacity.sequences
        func predict(_ plan: MemoryPlan) -> Prediction {
            Prediction(file, plan, promptRows: promptRows, batch: batch, rates)
        }
        let prediction = predict(plan)
        let speculation =
            options.drafts.isWanted
            ? SpeculationForecast(settings.drafting, file, plan, prediction, batch: batch, rates) : nil
        let off = options.drafts.isWanted ? predict(try settings.with(.off).plan()) : nil
        return Forecast(plan: plan, prediction: prediction, speculation: speculation, off: off)
    }

    /// A table by budget, ascending: the smallest one, each power of two, the one with everything in memory, and others
    /// between them where the time of a token changes most.
    public func forecasts() throws(LeafError) -> [Forecast] {
        var forecasts = [smallest]
        let (least, most) = (smallest.plan.budget, fastest.plan.budget)
        for budget in (20..<62).map({ 1 << $0 }) where budget > least && budget < most {
            let next = try forecast(budget: budget)
            forecasts += try between(forecasts[forecasts.count - 1], next) + [next]
        }
        guard most > least else { return forecasts }
        return forecasts + (try between(forecasts[forecasts.count - 1], fastest)) + [fastest]
    }

    /// Halves the way, as far as steps allow, until neighbours differ little.
    private func between(_ low: Forecast, _ high: Forecast) throws(LeafError) -> [Forecast] {
        guard low.secondsPerToken > Self.coarsest * high.secondsPerToken else { return [] }
        let step = max(1, Self.powerOfTwo(notAbove: low.plan.budget) / Self.steps)
        let inside = (low.plan.budget / step + 1)...max(low.plan.budget / step + 1, (high.plan.budget - 1) / step)
        let budget = (inside.lowerBound + inside.upperBound) / 2 * step
        guard budget > low.plan.budget, budget < high.plan.budget else { return [] }
        let middle = try forecast(budget: budget)
        return try between(low, middle) + [middle] + (try between(middle, high))
    }

    private static func powerOfTwo(notAbove number: Int) -> Int {
        number > 0 ? 1 << (Int.bitWidth - 1 - number.leadingZeroBitCount) : 1
    }

    /// The smallest budget that gives a token in so many seconds: in whole mebibytes, and from 1 GiB on in whole
    /// hundredths, as it is written. A step gives every sequence a token.
    ///
    /// - Throws: `.usage` for a time that is none, `.budget` naming the best time where none is short enough.
    public func forecast(secondsPerToken wanted: Double) throws(LeafError) -> Forecast {
        guard wanted > 0 else { throw LeafError(.usage, "\(wanted.asDuration) a token makes no sense; give more") }
        func meets(_ forecast: Forecast) -> Bool { forecast.secondsPerToken <= wanted }
        func written(_ budget: Int) throws(LeafError) -> Forecast {
            try forecast(budget: budget.roundedUpForPeople)
        }
        if meets(smallest) { return try written(smallest.plan.budget) }
        guard meets(fastest) else {
            throw LeafError(
                .budget,
                "no memory gives a token in \(wanted.asWrittenDuration) here: the best is "
                    + "\(fastest.secondsPerToken.asDuration), with \(fastest.plan.budget.roundedUpText), "
                    + "which keeps everything in memory")
        }
        var found = fastest
        var tooSmall = smallest.plan.budget >> 20
        var enough = fastest.plan.budget.wholeMebibytes >> 20
        while enough - tooSmall > 1 {
            let middle = (tooSmall + enough) / 2
            let forecast = try forecast(budget: middle << 20)
            if meets(forecast) { (enough, found) = (middle, forecast) } else { tooSmall = middle }
        }
        return try written(found.plan.budget)
    }
}

extension ModelOptions {
    /// Numbers of rows on sweeps, whose rates a forecast needs; drafts are more of them.
    ///
    /// - Parameter prompt: the rows of the prompt, soft prompt included.
    package func forecastRows(prompt: Int) -> [Int] {
        let texts = capacity.sequences
        return [texts, prompt] + (drafts.isWanted ? [4 * texts, 16 * texts] : [])
    }
}
