import Foundation
import GoldenSupport
import LeafSystem
import Testing

@Suite("page memory") struct PageMemoryTests {
    @Test(arguments: [PageMemory.Kind.ordinary, .reserved])
    func itIsZeroedWholePages(kind: PageMemory.Kind) throws {
        for count in [1, 4096, 4097, 2 << 20, (5 << 20) + 3] {
            let memory = try PageMemory(count: count, kind)
            #expect(memory.bytes.count == count.roundedUp(to: 4096))
            #expect(Int(bitPattern: memory.bytes.baseAddress!) % 4096 == 0)
            let isZero = memory.bytes.allSatisfy { $0 == 0 }
            #expect(isZero)
            memory.bytes.initializeMemory(as: UInt8.self, repeating: 7)
            memory.discard(at: 0, count: 4096)
            #expect(memory.bytes[0] == 0)
        }
        #expect(try PageMemory(count: 0, kind).bytes.isEmpty)
    }

    @Test func hugePagesLieInItAsAWhole() throws {
        let memory = try PageMemory(count: 3 << 20, .reserved)
        #expect(Int(bitPattern: memory.bytes.baseAddress!) % (2 << 20) == 0)
    }

    @Test(arguments: [PageMemory.Kind.ordinary, .reserved])
    func whatIsMappedIsUnmapped(kind: PageMemory.Kind) throws {
        let counted = Counter()
        var system = SystemCalls.real
        system.map = { source, count in
            counted.add(count)
            return SystemCalls.real.map(source, count)
        }
        system.unmap = { address, count in
            counted.add(-count)
            SystemCalls.real.unmap(address, count)
        }
        for count in [1, 4096, 3 << 20] {
            do {
                let memory = try PageMemory(count: count, kind, system: system)
                #expect(counted.value == memory.bytes.count)
            }
            #expect(counted.value == 0)
        }
    }

    @Test(arguments: [PageMemory.Kind.ordinary, .reserved])
    func aRefusalIsAnErrorOfTheBudget(kind: PageMemory.Kind) {
        var system = SystemCalls.real
        system.map = { _, _ in -Int(ENOMEM) }
        let error = #expect(throws: LeafError.self) {
            _ = try PageMemory(count: 1 << 20, for: "weights", kind, system: system)
        }
        #expect(error?.kind == .budget)
        #expect(
            error?.description
                == "the system gives no 1.0 MiB of memory for weights; use a smaller budget or close other programs")
        for count in [1 << 50, Int.max - 4096, Int.max] {
            #expect(throws: LeafError.self) { _ = try PageMemory(count: count, kind) }
        }
    }
}
