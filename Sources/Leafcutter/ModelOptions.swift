public import LeafExecutor
public import LeafStream
import LeafSystem

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
    /// The most that all texts together may demand; buffers are made for it.
    public var capacity: Demand
    /// Records a timeline of the model's work; the plan counts its buffer.
    public var trace: TraceRecorder?
    /// Whether generations can be kept in sessions; the plan counts the buffers for it.
    public var keepsSessions: Bool
    /// Bytes that the program holds beside the model, such as lines of requests; part of the plan.
    public var callerBytes: Int
    /// What drafts tokens that are checked on the model's sweeps.
    public var drafts = DraftOptions.none
    /// Requests that may be under way or wait at the same time; one more is refused with `.busy`.
    public var requestLimit: Int
    /// The options for another budget, where capacity and what the caller holds follow from it: refusals name a budget
    /// that would do.
    package var resized: (@Sendable (_ budget: Int) throws(LeafError) -> ModelOptions)?
    /// What is known of the machine, by which drafts and weights share the memory; nil to measure it where that
    /// matters.
    package var rates: MachineRates?
    /// Looks at the rows that matrices multiply.
    package var observer: (any InputObserver)?
    /// The most memory that what the budget bounds has taken so far.
    package var peak: @Sendable () -> Int = { ProcessMemory.peakBytes }

    public init(
        memory: MemoryBudget = .automatic, threads: Int? = nil, reading: ReadingOptions = ReadingOptions(),
        activations: ActivationPrecision = .int16, kv: KVPrecision? = nil, instructionSet: InstructionSet? = nil,
        capacity: Demand = Demand(context: 1024), trace: TraceRecorder? = nil, keepsSessions: Bool = false,
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
