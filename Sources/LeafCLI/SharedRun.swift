import Leafcutter

/// A model that is opened for many requests, until its statistics are told.
struct SharedRun {
    let model: Model
    let loadSeconds: Double
    private let engine: EngineOptions
    private let terminal: Terminal
    private let trace: TraceRecorder?
    private let interrupt = Interrupt()
    /// Ends what is under way: an interruption does, or a reader of the output that goes away.
    let cancellation: Cancellation
    private let workingSet: WorkingSetSignals
    private let began: ContinuousClock.Instant

    /// - Parameters:
    ///   - demands: of all requests, or of those that need most.
    ///   - sequences: at the same time at most; fewer if memory is short.
    ///   - unit: what a sequence is to whoever waits for it.
    ///   - start: when the opening began.
    /// - Throws: `.budget` naming the smallest budget that works for one at a time.
    init(
        _ demands: [Demand], sequences: Int, of unit: String = "text", _ engine: EngineOptions, _ file: ModelFile,
        since start: ContinuousClock.Instant = .now, _ terminal: Terminal
    ) throws(LeafError) {
        let cancellation = Cancellation(parent: interrupt.cancellation)
        self.cancellation = cancellation
        terminal.output.whenClosed = { cancellation.cancel() }
        trace = try engine.makeTrace()
        var options = engine.modelOptions(ModelOptions.Capacity(context: 1), trace: trace)
        options.capacity = try ModelOptions.Capacity.fitting(demands, sequences: sequences, file, options)
        model = try Model(file, options)
        loadSeconds = (ContinuousClock.now - start) / .seconds(1)
        terminal.detail(model.plan.description)
        terminal.detail("room for \(Quantity.count(options.capacity.sequences, unit)) at the same time")
        workingSet = WorkingSetSignals(model)
        self.engine = engine
        self.terminal = terminal
        began = .now
    }

    var isInterrupted: Bool { interrupt.isRequested }
    var seconds: Double { (ContinuousClock.now - began) / .seconds(1) }

    /// The last line on standard error.
    ///
    /// - Parameter rows: of all sweeps.
    func tell(tokens: Int, requests: Int, rows: Int) {
        guard !terminal.isQuiet else { return }
        terminal.note("\(RunFacts(model, tokens: tokens, requests: requests, rows: rows, seconds: seconds))")
    }

    /// Writes the timeline, if one was asked for.
    func finishTrace() throws(LeafError) { try engine.finish(trace, model.file.leaf, terminal) }
}
