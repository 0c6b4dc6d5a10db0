import LeafFormat
import Leafcutter

/// The speed of a model at each of several budgets on a measured machine.
struct Outlook {
    /// The speed at one budget.
    struct Forecast {
        let plan: MemoryPlan
        let prediction: Prediction

        var json: JSON {
            [
                "budget": .integer(plan.budget), "seconds_per_token": .number(prediction.secondsPerToken),
                "prefill_seconds": .number(prediction.prefillSeconds),
            ]
        }
    }

    /// One for the smallest budget, for each power of two above it, and for the budget that keeps everything in memory.
    let forecasts: [Forecast]
    private let predict: (MemoryPlan) -> Prediction

    /// - Parameters:
    ///   - options: their capacity is used, their budget is not.
    ///   - promptRows: the rows of the prompt, soft prompt included.
    init(_ file: ModelFile, _ options: ModelOptions, promptRows: Int, _ rates: MachineRates) throws(LeafError) {
        let batch = options.capacity.sequences
        predict = { plan in
            Prediction(file, plan, promptRows: promptRows, batch: batch, rates)
        }
        func plan(_ budget: Int) throws(LeafError) -> MemoryPlan {
            var options = options
            options.memory = .bytes(budget)
            return try Model.plan(file, options)
        }
        let unlimited = try plan(.max)
        let powers = (20..<62).map { 1 << $0 }.filter { $0 > unlimited.minimum && $0 < unlimited.total }
        var forecasts: [Forecast] = []
        for budget in [unlimited.minimum] + powers + [unlimited.total] {
            let plan = try plan(budget)
            forecasts.append(Forecast(plan: plan, prediction: predict(plan)))
        }
        self.forecasts = forecasts
    }

    func prediction(for plan: MemoryPlan) -> Prediction { predict(plan) }
}
