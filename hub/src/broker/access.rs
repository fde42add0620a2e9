//! Who may say and hear what. The same as the access list that `docs/operate/fleet.md` gives for other brokers.

use reelmill_api::{NodeId, fleet::topic::Topic};

/// Who is at the other end, by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// A node.
    Node(NodeId),
    /// The hub, or an operator.
    Operator,
}

impl Who {
    /// Whether it may say something there.
    pub(super) fn may_say(&self, topic: &Topic) -> bool {
        let Self::Node(own) = self else { return true };
        match topic {
            Topic::State(node, _)
            | Topic::Event(node, _)
            | Topic::Health(node)
            | Topic::Capabilities(node)
            | Topic::Reported(node, _)
            | Topic::Heartbeat(node)
            | Topic::Response(_, node) => node == own,
            Topic::Command(..) | Topic::Desired(..) | Topic::Group(..) => false,
        }
    }

    /// Whether it may hear all that this filter lets through.
    pub(super) fn may_hear(&self, filter: &str) -> bool {
        let Self::Node(own) = self else { return true };
        match filter.split('/').collect::<Vec<_>>()[..] {
            ["reelmill", "1", "n", node, "cmd" | "des", _, ..] => node == own.as_str(),
            ["reelmill", "1", "g", _, "cmd", _, ..] => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01M81B5H80NENTQAXBNENTQAXB";

    fn node() -> Who {
        Who::Node("orin-3".parse().expect("a node"))
    }

    #[test]
    fn a_node_says_only_what_it_says_of_itself() {
        for (topic, may) in [
            ("n/orin-3/health", true),
            ("n/orin-3/cap", true),
            ("n/orin-3/m", true),
            ("n/orin-3/rep/os", true),
            ("n/orin-3/ev/boot", true),
            ("n/orin-3/st/ID", true),
            ("r/anna/orin-3", true),
            ("n/orin-3/cmd/reboot/ID", false),
            ("n/orin-3/des/conf", false),
            ("n/orin-4/health", false),
            ("n/orin-4/st/ID", false),
            ("r/orin-3/orin-4", false),
            ("g/lan/cmd/ping/ID", false),
        ] {
            let topic = format!("reelmill/1/{}", topic.replace("ID", ID)).parse().expect("a topic");
            assert_eq!((node().may_say(&topic), Who::Operator.may_say(&topic)), (may, true), "{topic}");
        }
    }

    #[test]
    fn a_node_hears_only_what_is_for_it() {
        for (filter, may) in [
            ("reelmill/1/n/orin-3/cmd/#", true),
            ("reelmill/1/n/orin-3/cmd/+/+", true),
            ("reelmill/1/n/orin-3/des/+", true),
            ("reelmill/1/g/lan/cmd/#", true),
            ("reelmill/1/g/+/cmd/#", true),
            ("reelmill/1/n/orin-4/cmd/#", false),
            ("reelmill/1/n/+/cmd/#", false),
            ("reelmill/1/n/orin-3/#", false),
            ("reelmill/1/n/orin-3/st/+", false),
            ("reelmill/1/n/orin-3/cmd", false),
            ("reelmill/1/+/orin-3/cmd/#", false),
            ("+/1/n/orin-3/cmd/#", false),
            ("reelmill/1/#", false),
            ("reelmill/1/r/+/orin-3", false),
            ("$SYS/#", false),
            ("#", false),
            ("", false),
        ] {
            assert_eq!((node().may_hear(filter), Who::Operator.may_hear(filter)), (may, true), "{filter}");
        }
    }
}
