//! The words of the two worlds: how tasks, tools and errors of each are called. What of it leads to success is not here
//! but in the rules, which a seed makes.

/// How one world speaks.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) domain: &'static str,
    /// Tools that do the work. The last five are called the same in both worlds.
    pub(super) tools: [&'static str; 12],
    pub(super) kinds: [Kind; 4],
    /// What a blocked call answers, by the cause of the block; `#` is a number, `@` an id.
    pub(super) blocks: [&'static str; 6],
    /// What a refused call answers.
    pub(super) refusals: [&'static str; 4],
}

/// A kind of work: three types of task on the same things.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// What tasks of this kind are about.
    pub(super) things: [&'static str; 4],
    /// Three ways to ask for each type of task; `{thing}` is one of the things with its id.
    pub(super) types: [[&'static str; 3]; 3],
}

/// Calls that remove the cause of a block, in both worlds.
pub(super) const REPAIRS: [&str; 4] = ["refresh_session", "unlock_record", "resync_index", "raise_limit"];
/// Modes that a blocked call may be repeated in, in both worlds.
pub(super) const MODES: [&str; 2] = ["batch", "force"];

pub(super) const OPENINGS: [&str; 6] = [
    "Hi, {name} here.",
    "Good morning, my name is {name}.",
    "Hello,",
    "Ticket from {name}, account {id}:",
    "",
    "Please help me quickly.",
];
pub(super) const ASIDES: [&str; 8] = [
    "I am in a hurry, the train leaves at {number}.",
    "It was meant as a present for my sister in {city}.",
    "The weather in {city} is awful today.",
    "My colleague {name} said that this is the right place to ask.",
    "I have asked {number} times already.",
    "You can reach me under {id} if anything is unclear.",
    "Thank you for your patience.",
    "",
];
pub(super) const NAMES: [&str; 8] = [
    "Mia Li",
    "Omar Khan",
    "Sofia Rossi",
    "James Olsen",
    "Aarav Shah",
    "Ivana Novak",
    "Noah Brown",
    "Yuki Ito",
];
pub(super) const CITIES: [&str; 6] = ["Oslo", "Lagos", "Porto", "Denver", "Osaka", "Pune"];

/// Customers of a shop.
pub(super) const SHOP: Words = Words {
    domain: "shop",
    tools: [
        "order_desk",
        "parcel_api",
        "address_book",
        "refund_queue",
        "ledger",
        "voucher_service",
        "stock_list",
        "search_records",
        "write_log",
        "message_outbox",
        "approval_desk",
        "scheduler",
    ],
    kinds: [
        Kind {
            name: "delivery",
            things: ["parcel", "package", "shipment", "box with shoes"],
            types: [
                [
                    "Send {thing} to another address than the one on the label",
                    "I moved house, please redirect {thing}",
                    "Change where {thing} is delivered",
                ],
                [
                    "{thing} has not arrived, find out where it got lost",
                    "Trace {thing}, it is overdue since last week",
                    "Where is {thing}? It is missing",
                ],
                [
                    "Hold {thing} back until I return from holiday",
                    "Pause the transport of {thing} for some days",
                    "Deliver {thing} later, nobody is at home",
                ],
            ],
        },
        Kind {
            name: "payment",
            things: ["invoice", "bill", "charge", "card payment"],
            types: [
                [
                    "I was billed twice for {thing}, give one amount back",
                    "{thing} was taken from my account two times",
                    "Duplicate of {thing}: reverse it",
                ],
                [
                    "Let me pay {thing} in instalments",
                    "Split {thing} into monthly rates",
                    "I cannot pay {thing} at once, arrange a plan",
                ],
                [
                    "Put the company name and tax number on {thing}",
                    "{thing} shows the wrong tax number, correct it",
                    "Issue {thing} again for my firm",
                ],
            ],
        },
        Kind {
            name: "return",
            things: ["kettle", "desk lamp", "backpack", "headset"],
            types: [
                [
                    "{thing} broke after a day, I want a replacement",
                    "Swap the defective {thing} for a working one",
                    "Exchange {thing}, it is faulty",
                ],
                [
                    "Take {thing} back, I do not like it, and refund me",
                    "I changed my mind about {thing} and want my money",
                    "Return {thing} and credit the price",
                ],
                [
                    "{thing} came in the wrong colour, swap it for blue",
                    "I ordered the other size of {thing}, please switch",
                    "Trade {thing} for the variant in red",
                ],
            ],
        },
        Kind {
            name: "membership",
            things: ["loyalty account", "club card", "subscription", "profile"],
            types: [
                [
                    "Close {thing} and delete what you know of me",
                    "Erase {thing}, I am leaving for good",
                    "Terminate {thing} with all personal data",
                ],
                [
                    "The bonus points on {thing} are gone, restore them",
                    "Points missing on {thing} after the purchase, add them",
                    "Credit the forgotten bonus to {thing}",
                ],
                [
                    "I cannot sign in to {thing}, the password mail never comes",
                    "Login to {thing} is impossible since the reset",
                    "Unblock my access to {thing}, the code is rejected",
                ],
            ],
        },
    ],
    blocks: [
        "session token @ for the customer desk expired # seconds ago",
        "order file @ is being edited by clerk #",
        "catalogue copy # lags # entries behind",
        "daily budget of # requests is used up in region @",
        "single submission @ not accepted during stocktaking",
        "plausibility check # of @ raised a doubt",
    ],
    refusals: [
        "refused: nothing to do for @ here",
        "refused: @ is not in the expected state (code #)",
        "refused: a step before this one is missing for @",
        "refused: wrong counter, number #",
    ],
};

/// Operators of servers.
pub(super) const SERVERS: Words = Words {
    domain: "servers",
    tools: [
        "rollout_ctl",
        "node_pool",
        "backup_vault",
        "dns_zone",
        "cert_store",
        "metric_query",
        "config_map",
        "search_records",
        "write_log",
        "message_outbox",
        "approval_desk",
        "scheduler",
    ],
    kinds: [
        Kind {
            name: "deployment",
            things: ["service", "release", "worker pool", "gateway"],
            types: [
                [
                    "Roll {thing} back to the version before",
                    "The new build of {thing} is broken, revert it",
                    "Undo the last deploy of {thing}",
                ],
                [
                    "Give {thing} more replicas before the sale starts",
                    "Scale {thing} up, it is overloaded",
                    "{thing} needs more capacity tonight",
                ],
                [
                    "Move {thing} to the other region",
                    "Migrate {thing} away from the old site",
                    "Relocate {thing} without downtime",
                ],
            ],
        },
        Kind {
            name: "database",
            things: ["replica", "cluster", "table space", "primary"],
            types: [
                [
                    "Restore {thing} from the backup of last night",
                    "Data of {thing} was deleted by mistake, bring it back",
                    "Recover {thing} to the state of yesterday",
                ],
                [
                    "{thing} answers slowly, find the bad query",
                    "Investigate the latency of {thing}",
                    "Speed up {thing}, the dashboards time out",
                ],
                [
                    "Disk of {thing} is nearly full, make room",
                    "Free storage on {thing}",
                    "{thing} runs out of space, clean it",
                ],
            ],
        },
        Kind {
            name: "network",
            things: ["domain", "certificate", "load balancer", "tunnel"],
            types: [
                [
                    "Renew {thing} before it expires",
                    "{thing} runs out on Friday, prolong it",
                    "Browsers warn about {thing}, issue a new one",
                ],
                [
                    "Point {thing} at the new address",
                    "Redirect the traffic of {thing}",
                    "Change where {thing} resolves to",
                ],
                [
                    "Block the attacker's requests at {thing}",
                    "Somebody floods {thing}, shut them out",
                    "Limit the traffic that reaches {thing}",
                ],
            ],
        },
        Kind {
            name: "access",
            things: ["team role", "service account", "api key", "vault entry"],
            types: [
                [
                    "Revoke {thing}, the person has left",
                    "Remove {thing} from all systems",
                    "Withdraw every right of {thing}",
                ],
                [
                    "Rotate the secret of {thing}",
                    "{thing} was leaked, replace its secret",
                    "Exchange the credentials of {thing}",
                ],
                [
                    "Grant {thing} read access to the logs",
                    "{thing} needs to see the audit trail, allow it",
                    "Open the log archive for {thing}",
                ],
            ],
        },
    ],
    blocks: [
        "login ticket @ of the operator timed out after # s",
        "resource @ is held by pipeline #",
        "inventory shard # is stale by # revisions",
        "quota of # calls per hour exhausted for tenant @",
        "lone change @ rejected in the freeze window",
        "policy rule # flags @ as risky",
    ],
    refusals: [
        "refused: @ does not apply",
        "refused: precondition # of @ does not hold",
        "refused: target @ unknown to this tool",
        "refused: out of order, expected stage #",
    ],
};
