public import LeafExecutor
public import LeafStream

/// How a model is opened.
public struct ModelOptions: Sendable {
    public var memory: MemoryBudget
    /// Compute threads; nil for the cores that are available to the process.
    public var threads: Int?
    public var reading: ReadingOptions
    /// Precision of activations beside int8 weights.
    public var activations: ActivationPrecision
    /// Precision of the KV cache; nil for float16 beside int8 weights and float32 beside float weights.
    public var kv: KVPrecision?
    /// The kernels; nil for the best that `LEAFCUTTER_ISA` or the processor allows.
    public var instructionSet: InstructionSet?
    public var capacity: Capacity
    /// Records a timeline of everything that the model does; its buffer is part of the plan.
    public var trace: TraceRecorder?
    /// Whether generations can be kept in sessions; the buffers for it are part of the plan.
    public var keepsSessions: Bool
    /// Bytes that the program holds beside the model, such as lines of requests; part of the plan.
    public var callerBytes: Int
    /// Requests that may be under way or wait at the same time; one more is refused with `.busy`.
    public var requestLimit: Int

    /// What the buffers are sized for.
    public struct Capacity: Sendable, Equatable {
        /// Cached positions of all sequences: soft prompts, texts and generated tokens.
        public var context: Int
        /// Of these, those of the longest sequence.
        public var longest: Int
        /// Positions that may be computed in one sweep; the longest prompt with its soft prompt.
        public var rows: Int
        /// Rows whose logits are wanted in one sweep.
        public var logitRows: Int
        /// Sequences that are under way at the same time.
        public var sequences: Int

        /// - Parameter longest: nil for all of `context`.
        public init(
            context: Int, longest: Int? = nil, rows: Int? = nil, logitRows: Int = 1, sequences: Int = 1
        ) {
            self.context = context
            self.longest = min(longest ?? context, context)
            self.rows = min(rows ?? context, context)
            self.logitRows = logitRows
            self.sequences = sequences
        }
    }

    public init(
        memory: MemoryBudget = .automatic, threads: Int? = nil, reading: ReadingOptions = ReadingOptions(),
        activations: ActivationPrecision = .int16, kv: KVPrecision? = nil, instructionSet: InstructionSet? = nil,
        capacity: Capacity = Capacity(context: 1024), trace: TraceRecorder? = nil, keepsSessions: Bool = false,
        callerBytes: Int = 0, requestLimit: Int = 1024
    ) {
        self.memory = memory
        self.threads = threads
        self.reading = reading
        self.activations = activations
        self.kv = kv
        self.instructionSet = instructionSet
        self.capacity = capacity
        self.trace = trace
        self.keepsSessions = keepsSessions
        self.callerBytes = callerBytes
        self.requestLimit = requestLimit
    }
}
