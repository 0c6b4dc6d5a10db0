import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

@Suite("unpickler") struct UnpicklerTests {
    private func refusal(_ bytes: [UInt8]) -> String {
        failure { _ = try Unpickler.stateDict(bytes, path: "x.pt") }?.description ?? "accepted"
    }

    private func text(_ string: String) -> [UInt8] {
        [0x58] + withUnsafeBytes(of: UInt32(string.utf8.count).littleEndian) { Array($0) } + Array(string.utf8)
    }

    @Test func anEmptyDictionaryIsAStateDict() throws {
        #expect(try Unpickler.stateDict(Array("}.".utf8), path: "x.pt").isEmpty)
    }

    @Test(arguments: [
        ("cos\nsystem\n.", "`os.system`"), ("cposix\nsystem\n(X", "`posix.system`"),
        ("cbuiltins\n__import__\n.", "`builtins.__import__`"), ("ccollections\nOrderedDict\nextra", "never opened"),
        ("c\n\n.", "`.`"), ("", "cut off"), (".", "runs empty"), ("(", "cut off"), ("t.", "never opened"),
        ("N.", "not a dictionary"), ("}NNs.", "not a string"), ("(((((", "cut off"), ("q", "cut off"),
        ("h\u{1}.", "never kept"), ("}b.", "runs empty"), ("NR.", "0x52"), ("Na.", "runs empty"),
        ("]NNs.", "0x75"), ("S'x'\n.", "0x53"), ("P1\n.", "0x50"), ("\u{7F}", "0x7f"), ("cabc", "without an end"),
    ])
    func whatIsNoStateDictIsRefused(pickle: String, reason: String) {
        let description = refusal(Array(pickle.unicodeScalars.map { UInt8($0.value) }))
        #expect(description.contains(reason), "\(description)")
    }

    @Test func namesAreRefusedHoweverTheyAreWritten() {
        let stacked = text("os") + text("system") + [0x93, 0x2E]
        #expect(refusal(stacked).contains("`os.system`"))
        #expect(refusal([0x80, 9, 0x2E]).contains("protocol 9"))
        #expect(refusal([0x8A, 200, 0x2E]).contains("200 bytes"))
        #expect(refusal([0x58, 0xFF, 0xFF, 0xFF, 0xFF, 0x2E]).contains("string of 4294967295 bytes"))
        #expect(refusal([0x8D] + [UInt8](repeating: 0xFF, count: 8)).contains("string of"))
        #expect(refusal([0x58, 1, 0, 0, 0, 0xFF, 0x2E]).contains("not UTF-8"))
    }

    @Test func depthAndSizeAreLimited() {
        func pile(_ instructions: String, _ count: Int) -> [UInt8] {
            let bytes = instructions.unicodeScalars.map { UInt8($0.value) }
            return (0..<count).flatMap { _ in bytes }
        }
        // Lists in each other; marks, values, empty containers, and what is kept of values that are dropped.
        #expect(refusal(pile("]", 1_000) + pile("a", 999) + Array(".".utf8)).contains("not a dictionary"))
        #expect(refusal(pile("]", 100_000) + pile("a", 99_999)).contains("too much at once"))
        for instructions in ["(", "N", ")0", "]0", "}0", "N]0", "NN\u{86}0"] {
            let program = pile(instructions, 1_000_000 / instructions.unicodeScalars.count)
            #expect(refusal(program).contains("too much at once"), "\(instructions)")
        }
        // A tuple of one over and over, around the one before.
        #expect(refusal(Array("N".utf8) + [UInt8](repeating: 0x85, count: 1_000_000)).contains("too much at once"))
        #expect(refusal(pile("]N\u{85}", 80_000)).contains("too much at once"))
        #expect(refusal(pile("N", 2_000_000)).contains("too much for a state dict"))
    }

    @Test(arguments: ["]", "N", ")", "("]) func whatWouldTakeMoreMemoryThanItsBytesAllowIsRefused(opcode: Character) {
        func pickle(_ count: Int) -> [UInt8] { Array((String(repeating: opcode, count: count) + "}.").utf8) }
        // torch writes at least two bytes for each value; a few may take less.
        #expect(refusal(pickle(500)) == "accepted")
        #expect(refusal(pickle(30_000)).contains("keeps too much at once"))
    }

    @Test func aListMayHoldItself() {
        #expect(refusal(Array("]q\u{0}h\u{0}a.".utf8)).contains("not a dictionary"))
    }

    @Test func randomProgramsNeverCrash() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let opcodes =
            Array("(0NKMJGXcqrhj)t]ae}suQRb.".utf8) + [0x80, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x93, 0x94]
        let names = ["collections\nOrderedDict\n", "torch._utils\n_rebuild_tensor_v2\n", "torch\nFloatStorage\n"]
        for _ in 0..<20_000 {
            var program: [UInt8] = []
            for _ in 0..<Int.random(in: 1...40, using: &generator) {
                let opcode = opcodes.randomElement(using: &generator)!
                program.append(opcode)
                if opcode == UInt8(ascii: "c") { program += Array(names.randomElement(using: &generator)!.utf8) }
                if opcode == UInt8(ascii: "X") {
                    program.removeLast()
                    program += text("storage")
                }
                if Bool.random(using: &generator) { program.append(UInt8.random(in: 0...3, using: &generator)) }
            }
            let error = failure { _ = try Unpickler.stateDict(program + [0x2E], path: "x.pt") }
            #expect(error == nil || error?.kind == .badInput, "seed \(seed)")
        }
    }

    /// The pickles of torch, bent; whoever takes one apart meets each instruction with a wrong operand.
    @Test(arguments: ["plain", "parameters", "protocol-4", "bmcook"]) func mutatedPicklesNeverCrash(name: String) throws
    {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        // The first entry of the archive; torch puts its data at byte 64.
        let file = try Data(contentsOf: URL(filePath: Forms.fixture("\(name).pt")))
        let end = try #require(file.range(of: Data([0x50, 0x4B, 0x07, 0x08])))
        let original = Array(file[64..<end.lowerBound])
        #expect(try !Unpickler.stateDict(original, path: "x.pt").isEmpty)
        var refused = 0
        for round in 0..<5000 {
            var pickle = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let offset = Int.random(in: 0..<pickle.count, using: &generator)
                switch round % 3 {
                case 0: pickle[offset] = UInt8.random(in: 0...255, using: &generator)
                case 1: pickle[offset] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                default: pickle.removeSubrange(offset..<min(pickle.count, offset + 1 + round % 16))
                }
            }
            let error = failure { _ = try Unpickler.stateDict(pickle, path: "x.pt") }
            if error != nil { refused += 1 }
            #expect(error == nil || error?.kind == .badInput, "seed \(seed)")
        }
        #expect(refused > 1000, "seed \(seed)")
    }
}
