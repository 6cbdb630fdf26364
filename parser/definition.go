package parser

import pg "github.com/pganalyze/pg_query_go/v6"

// definition fills the command in if it is DDL or changes rights. All of these invalidate everything in the
// database, so their trees are not walked further.
func (a *analysis) definition(n *pg.Node) {
	c := a.command
	switch n := n.GetNode().(type) {
	case *pg.Node_CreateStmt:
		c.Tag = "CREATE TABLE"
		a.creates(n.CreateStmt.GetRelation())
		if len(n.CreateStmt.GetInhRelations()) > 0 { // a child's rows are its parent's
			c.Kind = KindDefinition
		}
		return
	case *pg.Node_ViewStmt:
		c.Tag = "CREATE VIEW"
		a.creates(n.ViewStmt.GetView())
		return
	case *pg.Node_CreateSeqStmt:
		c.Tag = "CREATE SEQUENCE"
		a.creates(n.CreateSeqStmt.GetSequence())
		return
	case *pg.Node_GrantStmt:
		c.Tag, c.Cluster = "GRANT", shared(n.GrantStmt.GetObjtype())
		if !n.GrantStmt.GetIsGrant() {
			c.Tag = "REVOKE"
		}
	case *pg.Node_RenameStmt:
		c.Tag, c.Cluster = "ALTER ... RENAME", shared(n.RenameStmt.GetRenameType())
	case *pg.Node_AlterOwnerStmt:
		c.Tag, c.Cluster = "ALTER ... OWNER", shared(n.AlterOwnerStmt.GetObjectType())
	case *pg.Node_CommentStmt:
		c.Tag, c.Cluster = "COMMENT", shared(n.CommentStmt.GetObjtype())
	case *pg.Node_SecLabelStmt:
		c.Tag, c.Cluster = "SECURITY LABEL", shared(n.SecLabelStmt.GetObjtype())
	default:
		if c.Tag = clusterTag(n); c.Tag != "" {
			c.Cluster = true
		} else if c.Tag = databaseTag(n); c.Tag == "" {
			return
		}
	}
	c.Kind = KindDefinition
}

// shared tells whether objects of the type belong to the whole cluster.
func shared(t pg.ObjectType) bool {
	switch t {
	case pg.ObjectType_OBJECT_DATABASE, pg.ObjectType_OBJECT_ROLE, pg.ObjectType_OBJECT_TABLESPACE,
		pg.ObjectType_OBJECT_PARAMETER_ACL:
		return true
	}
	return false
}

// clusterTag is the tag of a definition that concerns the whole cluster, "" for other nodes.
func clusterTag(n any) string {
	switch n.(type) {
	case *pg.Node_CreatedbStmt:
		return "CREATE DATABASE"
	case *pg.Node_DropdbStmt:
		return "DROP DATABASE"
	case *pg.Node_AlterDatabaseStmt, *pg.Node_AlterDatabaseSetStmt, *pg.Node_AlterDatabaseRefreshCollStmt:
		return "ALTER DATABASE"
	case *pg.Node_CreateRoleStmt:
		return "CREATE ROLE"
	case *pg.Node_AlterRoleStmt, *pg.Node_AlterRoleSetStmt:
		return "ALTER ROLE"
	case *pg.Node_DropRoleStmt:
		return "DROP ROLE"
	case *pg.Node_GrantRoleStmt:
		return "GRANT ROLE"
	case *pg.Node_ReassignOwnedStmt:
		return "REASSIGN OWNED"
	case *pg.Node_DropOwnedStmt:
		return "DROP OWNED"
	case *pg.Node_CreateTableSpaceStmt:
		return "CREATE TABLESPACE"
	case *pg.Node_AlterTableSpaceOptionsStmt:
		return "ALTER TABLESPACE"
	case *pg.Node_DropTableSpaceStmt:
		return "DROP TABLESPACE"
	case *pg.Node_AlterSystemStmt:
		return "ALTER SYSTEM"
	}
	return ""
}

// databaseTag is the tag of a definition in this database, "" for other nodes.
func databaseTag(n any) string {
	switch n.(type) {
	case *pg.Node_AlterTableStmt, *pg.Node_AlterTableMoveAllStmt:
		return "ALTER TABLE"
	case *pg.Node_DropStmt:
		return "DROP"
	case *pg.Node_IndexStmt:
		return "CREATE INDEX"
	case *pg.Node_ReindexStmt:
		return "REINDEX"
	case *pg.Node_ClusterStmt:
		return "CLUSTER"
	case *pg.Node_RuleStmt:
		return "CREATE RULE"
	case *pg.Node_CreateTrigStmt:
		return "CREATE TRIGGER"
	case *pg.Node_CreateEventTrigStmt, *pg.Node_AlterEventTrigStmt:
		return "EVENT TRIGGER"
	case *pg.Node_CreateSchemaStmt:
		return "CREATE SCHEMA"
	case *pg.Node_CreateFunctionStmt:
		return "CREATE FUNCTION"
	case *pg.Node_AlterFunctionStmt:
		return "ALTER FUNCTION"
	case *pg.Node_AlterSeqStmt:
		return "ALTER SEQUENCE"
	case *pg.Node_CreatePolicyStmt:
		return "CREATE POLICY"
	case *pg.Node_AlterPolicyStmt:
		return "ALTER POLICY"
	case *pg.Node_AlterDefaultPrivilegesStmt:
		return "ALTER DEFAULT PRIVILEGES"
	case *pg.Node_CreateExtensionStmt, *pg.Node_AlterExtensionStmt, *pg.Node_AlterExtensionContentsStmt:
		return "EXTENSION"
	case *pg.Node_CreateDomainStmt:
		return "CREATE DOMAIN"
	case *pg.Node_AlterDomainStmt:
		return "ALTER DOMAIN"
	case *pg.Node_CompositeTypeStmt, *pg.Node_CreateEnumStmt, *pg.Node_CreateRangeStmt:
		return "CREATE TYPE"
	case *pg.Node_AlterEnumStmt, *pg.Node_AlterTypeStmt:
		return "ALTER TYPE"
	case *pg.Node_CreateStatsStmt, *pg.Node_AlterStatsStmt:
		return "STATISTICS"
	case *pg.Node_CreateForeignTableStmt, *pg.Node_ImportForeignSchemaStmt, *pg.Node_CreateFdwStmt, *pg.Node_AlterFdwStmt,
		*pg.Node_CreateForeignServerStmt, *pg.Node_AlterForeignServerStmt, *pg.Node_CreateUserMappingStmt,
		*pg.Node_AlterUserMappingStmt, *pg.Node_DropUserMappingStmt:
		return "FOREIGN DATA"
	case *pg.Node_CreatePublicationStmt, *pg.Node_AlterPublicationStmt:
		return "PUBLICATION"
	case *pg.Node_CreateSubscriptionStmt, *pg.Node_AlterSubscriptionStmt, *pg.Node_DropSubscriptionStmt:
		return "SUBSCRIPTION"
	case *pg.Node_AlterObjectSchemaStmt, *pg.Node_AlterObjectDependsStmt:
		return "ALTER"
	case *pg.Node_DefineStmt, *pg.Node_CreateCastStmt, *pg.Node_CreateConversionStmt, *pg.Node_CreateTransformStmt,
		*pg.Node_CreateAmStmt, *pg.Node_CreatePlangStmt, *pg.Node_CreateOpClassStmt, *pg.Node_CreateOpFamilyStmt:
		return "CREATE"
	case *pg.Node_AlterCollationStmt, *pg.Node_AlterOperatorStmt, *pg.Node_AlterOpFamilyStmt,
		*pg.Node_AlterTsdictionaryStmt, *pg.Node_AlterTsconfigurationStmt:
		return "ALTER"
	}
	return ""
}
