import Glibc
import Synchronization

/// What programs hold by numbers that look like pointers: a slot, its generation, and a kind. A number whose slot has
/// been given to something else since is told apart.
final class HandleTable: Sendable {
    enum Kind: UInt {
        // Odd, as no pointer to anything of the host's is.
        case model = 1
        case request = 3
        case event = 5
        case job = 7
    }

    /// What a number stands for.
    enum Found<Value: Sendable>: Sendable {
        case value(Value)
        /// It did once.
        case stale
        case foreign
        /// This process is a child of the one that made it.
        case forked
    }

    private struct Slot {
        var generation: UInt32
        var value: (any AnyObject & Sendable)?
    }

    private struct State {
        var slots: [Slot] = []
        var free: [Int] = []
    }

    static let shared = HandleTable()

    private static let kindBits: UInt = 4
    private static let generationShift: UInt = 32
    private static let mostSlots = 1 << 28
    /// Not 0, so that small numbers are no handles.
    private static let firstGeneration: UInt32 = 0x1EAF_0001

    private let state = Mutex(State())
    /// The process that has handles; 0 while there are none. It is looked at without the lock, because a fork leaves
    /// the lock as it was.
    private let owner = Atomic<Int32>(0)

    /// Whether what is open belongs to the process that this one was forked from.
    var isForked: Bool {
        let owner = owner.load(ordering: .acquiring)
        return owner != 0 && owner != getpid()
    }

    /// - Returns: nil when there are as many handles as there may be.
    func add(_ value: any AnyObject & Sendable, _ kind: Kind) -> OpaquePointer? {
        state.withLock { state in
            let slot: Int
            if let free = state.free.popLast() {
                slot = free
            } else {
                guard state.slots.count < Self.mostSlots else { return nil }
                slot = state.slots.count
                state.slots.append(Slot(generation: Self.firstGeneration, value: nil))
            }
            state.slots[slot].value = value
            owner.store(getpid(), ordering: .releasing)
            let generation = UInt(state.slots[slot].generation)
            let bits = generation << Self.generationShift | UInt(slot) << Self.kindBits | kind.rawValue
            return OpaquePointer(bitPattern: bits)
        }
    }

    func find<Value: AnyObject & Sendable>(_ handle: OpaquePointer?, _ kind: Kind, _ type: Value.Type) -> Found<Value> {
        if isForked { return .forked }
        guard let handle else { return .foreign }
        return state.withLock { Self.look(for: handle, kind, type, in: $0).found }
    }

    /// Finds it and gives its number away.
    func remove<Value: AnyObject & Sendable>(_ handle: OpaquePointer?, _ kind: Kind, _ type: Value.Type) -> Value? {
        guard !isForked, let handle else { return nil }
        return state.withLock { state in
            let (found, slot) = Self.look(for: handle, kind, type, in: state)
            guard case .value(let value) = found else { return nil }
            state.slots[slot].value = nil
            state.slots[slot].generation &+= 1
            state.free.append(slot)
            if state.free.count == state.slots.count { owner.store(0, ordering: .releasing) }
            return value
        }
    }

    private static func look<Value: AnyObject & Sendable>(
        for handle: OpaquePointer, _ kind: Kind, _ type: Value.Type, in state: borrowing State
    ) -> (found: Found<Value>, slot: Int) {
        let bits = UInt(bitPattern: handle)
        let slot = Int(bits >> kindBits & UInt(mostSlots - 1))
        let generation = UInt32(bits >> generationShift)
        guard bits & (1 << kindBits - 1) == kind.rawValue, slot < state.slots.count, generation >= firstGeneration
        else { return (.foreign, slot) }
        let held = state.slots[slot]
        guard generation == held.generation else {
            return (generation < held.generation ? .stale : .foreign, slot)
        }
        guard let value = held.value as? Value else { return (.foreign, slot) }
        return (.value(value), slot)
    }
}
