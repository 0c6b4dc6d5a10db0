import LeafArguments
public import LeafExecutor
import LeafSystem
import LeafWire
import Leafcutter

/// Options for running a model, for every command that computes.
struct EngineOptions: Sendable {
    var memory = MemoryBudget.automatic
    var threads: Int?
    /// A file that is cut while it is mapped ends in a sentence, and not by a signal.
    var reading = ReadingOptions(guardsMapping: true)
    var activations = ActivationPrecision.int16
    var kv: KVPrecision?
    var trace: String?
    /// Nothing drafts for commands without `draftOptions`.
    var speculate = "off"
    var draftTokens: Int?
    /// How often drafts are taken to be right; nil for what was kept, or else a careful figure.
    var acceptance: Float?
    var sharesNgrams = false
    /// Whether what comes of drafts is kept beside the model that makes them.
    var keepsAcceptance = false

    static let memoryOption = CommandOption<EngineOptions>.value(
        "memory", "SIZE",
        "Hard ceiling on all memory of the process: 512MiB, 2GiB, 4GB, bytes, or auto (default: what is free, at most "
            + "the container's limit, less a reserve).", \.memory)

    static let all: [CommandOption<EngineOptions>] = [
        memoryOption,
        .number("threads", "N", .threads, "Compute threads (default: the cores that the process may use).", \.threads),
        .value(
            "io", "MODE", "How weights are read: auto (default), map, direct or buffered.", \.reading.mode,
            suggest: .words(IOMode.allCases.map(\.rawValue))),
        .value(
            "mirror", "FILE", "A second copy of the model, on another drive, read at the same time.", \.reading.mirror,
            suggest: .model),
        .value(
            "max-read-rate", "RATE",
            "Read weights no faster than this: 200MB/s, 1GiB/s (default: no limit).",
            \.reading.maxReadRate),
        .value(
            "activations", "TYPE",
            "Precision of activations beside int8 weights: int16 (default), or int8, which is faster on long prompts.",
            \.activations, suggest: .words(ActivationPrecision.allCases.map(\.rawValue))),
        .value(
            "kv", "TYPE", "Precision of the KV cache: f16 (default with int8 weights) or f32 (with float weights).",
            \.kv,
            suggest: .words(KVPrecision.allCases.map(\.rawValue))),
    ]

    static let traceOption = CommandOption<EngineOptions>.value(
        "trace", "FILE",
        "Write a timeline of reads, waits, kernels and sweeps that chrome://tracing and Perfetto open.",
        \.trace, suggest: .file)

    static let draftOptions: [CommandOption<EngineOptions>] = [
        .value(
            "speculate", "MODE",
            "What guesses the next tokens, which one sweep then checks together; no guess changes a byte: ngram "
                + "(what prompt and text have had before), a .leaf file of the same vocabulary, which stays in memory "
                + "(a copy by requantize guesses best), off, or auto (ngram where there is room). Default: auto; for "
                + "plans and benchmarks off.",
            \.speculate, suggest: .model),
        .number(
            "draft-tokens", "N", .init(DraftOptions.counts),
            "Guess this many for each text on each sweep, also where it does not pay.",
            \.draftTokens),
    ]

    /// For commands that predict.
    static let acceptanceOption = CommandOption<EngineOptions>.number(
        "acceptance", "SHARE", .share,
        "With --speculate: how often a best guess is taken to be right, 0 to 1 (default: what was kept, or else 0.8 "
            + "for a copy, 0.6 for other models and 0.1 for ngram).", \.acceptance)

    /// For commands with texts of several requests.
    static let shareOption = CommandOption<EngineOptions>.flag(
        "share-ngrams",
        "With --speculate ngram or auto: guess what other texts have said, too. No text changes, but how fast one "
            + "comes may tell what others have said.", \.sharesNgrams)

    static let keepOption = CommandOption<EngineOptions>.flag(
        "keep-acceptance",
        "Count in FILE.leaf.acceptance how often the guesses of --speculate FILE.leaf are right; memory is divided and "
            + "plans predict by what is kept there.", \.keepsAcceptance)

    /// For commands that generate.
    static let generating = all + draftOptions + [keepOption, traceOption]

    /// What is to draft, by `draftOptions`.
    func drafts(_ terminal: Terminal) throws(LeafError) -> DraftOptions { try drafts(warning: terminal.notes.warn) }

    /// - Parameter warn: is told once what drafts no more, from any thread, and what of the past cannot be read.
    func drafts(warning warn: @escaping @Sendable (String) -> Void) throws(LeafError) -> DraftOptions {
        guard !keepsAcceptance || !DraftOptions.names.contains(speculate) else {
            throw LeafError(.usage, "--keep-acceptance counts what a model guesses; give --speculate with a .leaf file")
        }
        var options = try DraftOptions(
            named: speculate, fixedCount: draftTokens, acceptance: acceptance.flatMap { Double("\($0)") },
            memory: memory)
        options.sharesNgrams = sharesNgrams
        options.onFailure = { warn("speculation is off from here on: \($0)") }
        if keepsAcceptance, let draftPath {
            try KeptAcceptance.check(beside: draftPath)
        } else if let warning = options.keptWarning {
            warn(warning)
        }
        return options
    }

    /// - Parameters:
    ///   - capacity: the sizes of the buffers.
    ///   - trace: records a timeline.
    func modelOptions(_ capacity: Demand, trace: TraceRecorder? = nil) -> ModelOptions {
        ModelOptions(
            memory: memory, threads: threads, reading: reading, activations: activations, kv: kv, capacity: capacity,
            trace: trace)
    }

    /// What every run of a model may read, which no result may replace: the model, its mirror, its draft with what is
    /// known of that, standard input.
    func inputs(of file: ModelFile) -> [String] {
        let known = keepsAcceptance ? nil : draftPath.map { KeptAcceptance.path(beside: $0) }
        return file.paths + [reading.mirror, draftPath, known].compactMap { $0 } + ["-"]
    }

    /// The model that is to draft.
    var draftPath: String? { DraftOptions.names.contains(speculate) ? nil : speculate }

    /// What `--keep-acceptance` writes.
    private var acceptancePath: String? {
        keepsAcceptance ? draftPath.map { KeptAcceptance.path(beside: $0) } : nil
    }

    /// Makes a recorder for `--trace`; nil without that option.
    ///
    /// - Parameters:
    ///   - inputs: paths of what is read besides the model.
    ///   - session: what else is written.
    /// - Throws: `.io` if the file cannot be written, `.usage` if the run reads it, or writes something else there; the
    ///   same for a session, and for what is kept of drafts.
    func makeTrace(
        beside file: ModelFile, _ inputs: [String] = [], session: Session? = nil
    ) throws(LeafError) -> TraceRecorder? {
        try checkResults(beside: file, inputs, session: session)
        guard let trace else { return nil }
        return try TraceRecorder(path: trace, isCancelled: { Interrupt.isAnyRequested })
    }

    /// - Throws: `.usage` if `--trace`, `--keep-acceptance` or the session would overwrite what the run reads, or each
    ///   other.
    func checkResults(
        beside file: ModelFile, _ inputs: [String] = [], session: Session? = nil
    ) throws(LeafError) {
        try session?.check(isNoneOf: self.inputs(of: file))
        try checkResults(areApartFrom: session?.results ?? [])
        let read = self.inputs(of: file) + inputs + (session.map { [$0.path] } ?? [])
        for result in [acceptancePath, trace].compactMap({ $0 }) { try OutputTarget.check(result, isNoneOf: read) }
    }

    /// - Throws: `.usage` if `--trace` or `--keep-acceptance` would overwrite one of these results, or each other.
    func checkResults(areApartFrom results: [String]) throws(LeafError) {
        let acceptance = try acceptancePath.map { path throws(LeafError) in
            try OutputTarget.written(path, with: [.part])
        }
        if let acceptance { try OutputTarget.check(acceptance, isApartFrom: results) }
        guard let trace else { return }
        guard trace != OutputTarget.standardOutput else {
            throw LeafError(.usage, "--trace - would mix the timeline with the results on standard output; name a file")
        }
        try OutputTarget.check(
            OutputTarget.written(trace, with: [.part]), isApartFrom: results + (acceptance ?? []))
    }

    /// Keeps what came of drafts, if `--keep-acceptance` was given, and says where nothing came of them. Without it the
    /// run is worth as much.
    func keepAcceptance(of model: Model, warning warn: (String) -> Void) {
        guard keepsAcceptance else { return }
        do throws(LeafError) {
            try model.keepAcceptance()
            if model.missedDrafts != nil {
                warn(
                    "nothing was guessed, so there is nothing to keep"
                        + (model.isSpeculationUnprofitable ? "; --draft-tokens 8 makes it guess in any case" : ""))
            }
        } catch {
            warn("how often the guesses were right was not kept: \(error)")
        }
    }

    /// Writes the recorded timeline.
    func finish(_ recorder: TraceRecorder?, _ file: LeafFile, _ terminal: Terminal) throws(LeafError) {
        guard let recorder, let trace else { return }
        let dropped = try recorder.finish(naming: file)
        if dropped > 0 {
            terminal.warn("\(trace) holds the beginning of the run: \(dropped.of("later event")) did not fit")
        }
    }
}

extension MemoryBudget: ArgumentValue {
    public init?(argument: String) {
        if argument == "auto" {
            self = .automatic
        } else {
            guard let size = ByteCount(argument) else { return nil }
            self = .bytes(size.bytes)
        }
    }

    public static var expectation: String { ByteCount.expectation + ", or auto" }

    package static func fault(in argument: String) -> String? { ByteCount.fault(in: argument) }
}

extension ReadingOptions {
    fileprivate var maxReadRate: ByteRate? {
        get { maxBytesPerSecond.map(ByteRate.init) }
        set { maxBytesPerSecond = newValue?.bytesPerSecond }
    }
}

extension IOMode: ArgumentValue {}
extension ActivationPrecision: ArgumentValue {}
extension KVPrecision: ArgumentValue {}

/// A value of `--weights`.
protocol WeightsWord: RawRepresentable<String>, CaseIterable, ArgumentValue {
    var format: WeightFormat { get }
}

/// The values of `--weights` where a model file of any kind is made.
enum WeightsArgument: String, WeightsWord {
    case int8, q4, q3, f16, f32

    var format: WeightFormat {
        switch self {
        case .int8: .int8
        case .q4: .q4
        case .q3: .q3
        case .f16: .float16
        case .f32: .float32
        }
    }
}

/// The values of `--weights` where a model file is made of another one.
enum QuantizedWeightsArgument: String, WeightsWord {
    case q4, q3, int8

    var format: WeightFormat {
        switch self {
        case .q4: .q4
        case .q3: .q3
        case .int8: .int8
        }
    }
}

/// The values of `--weights` where other programs read the result.
enum FloatWeightsArgument: String, WeightsWord {
    case f16, f32

    var format: WeightFormat {
        switch self {
        case .f16: .float16
        case .f32: .float32
        }
    }
}
