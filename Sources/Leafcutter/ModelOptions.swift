public import LeafExecutor
public import LeafStream

/// How a model is opened.
public struct ModelOptions: Sendable {
    public var memory: MemoryBudget
    /// Compute threads; nil for the cores that the process may use.
    public var threads: Int?
    public var reading: ReadingOptions
    /// Precision of activations beside int8 weights.
    public var activations: ActivationPrecision
    /// Precision of the KV cache; nil for float16 beside int8 weights and float32 beside float weights.
    public var kv: KVPrecision?
    /// The kernels; nil for those that `LEAFCUTTER_ISA` names, otherwise the best.
    public var instructionSet: InstructionSet?
    public var capacity: Capacity
    /// Records a timeline of the model's work; the plan counts its buffer.
    public var trace: TraceRecorder?
    /// Whether generations can be kept in sessions; the plan counts the buffers for it.
    public var keepsSessions: Bool
    /// Bytes that the program holds beside the model, such as lines of requests; part of the plan.
    public var callerBytes: Int
    /// Requests that may be under way or wait at the same time; one more is refused with `.busy`.
    public var requestLimit: Int

    /// The sizes of the buffers.
    public struct Capacity: Sendable, Equatable {
        /// Cached positions of all sequences together: soft prompts, texts and generated tokens.
        public var context: Int
        /// Of these, those of the longest sequence.
        public var longest: Int
        /// The most positions computed in one sweep: the longest prompt with its soft prompt.
        public var rows: Int
        /// The most rows with logits in one sweep.
        public var logitRows: Int
        /// The most sequences at the same time.
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
